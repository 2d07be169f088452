/* SPDX-License-Identifier: BSD-2-Clause */
/* word_count.c — count the words of text files in other processes, and lose nothing when one dies.
 *
 *     word_count [FILE ...]      default: the licences that Debian installs
 *
 * Each task counts one piece of a file and returns a table by value. One worker is killed on the
 * way: the piece that it was about to count comes back with an error and is submitted again. In
 * the end the result is compared with a count made here, another way. */
#define _POSIX_C_SOURCE 200809L
#include <weft/procpool.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 4096
#define PIECES_MAX 20000
#define WORD_BYTES 28
#define TABLE_WORDS 4096u /* more than a piece can hold */
#define SUM_WORDS (1u << 20)

typedef struct entry {
    char word[WORD_BYTES]; /* lower case, cut off if it is longer */
    unsigned count;
} entry;

typedef struct piece {
    char path[200];
    long begin; /* words that begin before belong to the piece before */
} piece;

typedef struct table {
    entry words[TABLE_WORDS];
} table;

/* ---- counting, here and there ---------------------------------------------------------------- */

/* Read the next word and its place: its length, 0 at the end of the file. */
static int next_word(FILE *file, char *word, long *place)
{
    int length = 0;
    int c;
    while ((c = getc(file)) != EOF) {
        if (isalpha(c)) {
            if (length == 0)
                *place = ftell(file) - 1;
            if (length < WORD_BYTES - 1)
                word[length++] = (char)tolower(c);
        } else if (length > 0) {
            break;
        }
    }
    word[length] = '\0';
    return length;
}

/* The place of a word in a table of `room` places; NULL: the table is full. */
static entry *find(entry *words, unsigned room, const char *word)
{
    unsigned hash = 2166136261u;
    for (const char *c = word; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (unsigned i = 0; i < room; i++) {
        entry *place = &words[(hash + i) % room];
        if (place->count == 0 || strcmp(place->word, word) == 0)
            return place;
    }
    return NULL;
}

static int add(entry *words, unsigned room, const char *word, unsigned count)
{
    entry *place = find(words, room, word);
    if (place == NULL)
        return -ENOSPC;
    memcpy(place->word, word, strlen(word) + 1);
    place->count += count;
    return 0;
}

WEFT_TASK(table, count_words, piece, part)
{
    static table words;
    char word[WORD_BYTES];
    long place = 0;
    memset(&words, 0, sizeof(words));
    FILE *file = fopen(part.path, "r");
    if (file == NULL)
        return weft_fail(-ENOENT, "cannot read %s", part.path), words;
    /* From one byte earlier, so as to see whether a word has begun before: it is skipped. */
    if (part.begin > 0 && fseek(file, part.begin - 1, SEEK_SET) == 0)
        while (isalpha(getc(file)))
            continue;
    while (next_word(file, word, &place) > 0 && place < part.begin + PIECE_BYTES)
        if (add(words.words, TABLE_WORDS, word, 1) != 0)
            (void)weft_fail(-ENOSPC, "too many words in one piece of %s", part.path);
    (void)fclose(file);
    return words;
}

/* ---- in other processes ---------------------------------------------------------------------- */

static piece pieces[PIECES_MAX];
static size_t piece_count;

static void cut(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || strlen(path) >= sizeof(pieces[0].path))
        return;
    long bytes = ftell(file);
    (void)fclose(file);
    for (long begin = 0; begin < bytes && piece_count < PIECES_MAX; begin += PIECE_BYTES) {
        (void)snprintf(pieces[piece_count].path, sizeof(pieces[0].path), "%s", path);
        pieces[piece_count++].begin = begin;
    }
}

/* Count all pieces into `sum`: how many had to be submitted twice, or a negative errno. */
static int count_all(weft_procpool *pool, entry *sum)
{
    static count_words_future counts[PIECES_MAX];
    static table words;
    int again = 0;
    for (size_t i = 0; i < piece_count; i++)
        counts[i] = weft_submit(weft_procpool_executor(pool), count_words, pieces[i]);
    (void)kill((pid_t)weft_procpool_pid(pool, 0), SIGKILL);
    for (size_t i = 0; i < piece_count; i++) {
        int rc;
        while ((rc = weft_await(counts[i], &words, WEFT_FOREVER)) == -EOWNERDEAD) {
            counts[i] = weft_submit(weft_procpool_executor(pool), count_words, pieces[i]);
            again++;
        }
        for (unsigned k = 0; rc == 0 && k < TABLE_WORDS; k++)
            if (words.words[k].count > 0)
                rc = add(sum, SUM_WORDS, words.words[k].word, words.words[k].count);
        if (rc != 0)
            return rc;
    }
    return again;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

typedef struct list {
    char (*words)[WORD_BYTES];
    size_t count;
    size_t room;
} list;

static int by_word(const void *one, const void *other)
{
    return strcmp(one, other);
}

static int append_words(list *all, const char *path)
{
    FILE *file = fopen(path, "r");
    long place;
    while (file != NULL) {
        if (all->count == all->room) {
            all->room = all->room == 0 ? 4096 : 2 * all->room;
            all->words = realloc(all->words, all->room * sizeof(all->words[0]));
            if (all->words == NULL)
                return -ENOMEM;
        }
        if (next_word(file, all->words[all->count], &place) == 0)
            break;
        all->count++;
    }
    return file == NULL ? -ENOENT : fclose(file);
}

/* Zero: the table says of each word what the sorted list says, and the list has them all. */
static int compare(entry *sum, const list *all)
{
    size_t total = 0;
    for (unsigned i = 0; i < SUM_WORDS; i++)
        total += sum[i].count;
    for (size_t begin = 0, end; begin < all->count; begin = end) {
        for (end = begin; end < all->count; end++)
            if (strcmp(all->words[begin], all->words[end]) != 0)
                break;
        const entry *place = find(sum, SUM_WORDS, all->words[begin]);
        if (place == NULL || place->count != end - begin)
            return 1;
    }
    return total == all->count ? 0 : 1;
}

static int check(entry *sum, char **paths, int count)
{
    list all = {.count = 0};
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = append_words(&all, paths[i]);
    if (rc == 0) {
        qsort(all.words, all.count, sizeof(all.words[0]), by_word);
        rc = compare(sum, &all);
        printf("%zu words; the serial count %s\n", all.count, rc == 0 ? "agrees" : "differs");
    }
    free(all.words);
    return rc;
}

/* ---- the program ----------------------------------------------------------------------------- */

static void print_most_frequent(const entry *sum)
{
    unsigned below = UINT_MAX;
    for (int rank = 0; rank < 5; rank++) {
        const entry *best = NULL;
        for (unsigned i = 0; i < SUM_WORDS; i++)
            if (sum[i].count < below && (best == NULL || sum[i].count > best->count))
                best = &sum[i];
        if (best == NULL || best->count == 0)
            return;
        printf("%8u  %s\n", best->count, best->word);
        below = best->count;
    }
}

static int count_and_check(char **paths, int count)
{
    weft_procpool *pool;
    entry *sum = calloc(SUM_WORDS, sizeof(entry));
    if (sum == NULL)
        return -ENOMEM;
    for (int i = 0; i < count; i++)
        cut(paths[i]);
    int rc = weft_procpool_create(&pool, NULL);
    if (rc == 0) {
        rc = count_all(pool, sum);
        if (rc >= 0) {
            printf("%zu pieces, a worker killed meanwhile, %d of them counted again\n", piece_count,
                   rc);
            rc = 0;
        }
        (void)weft_procpool_destroy(pool);
    }
    if (rc == 0)
        rc = check(sum, paths, count);
    if (rc == 0)
        print_most_frequent(sum);
    free(sum);
    return rc;
}

int main(int argc, char **argv)
{
    static char *licences[] = {"/usr/share/common-licenses/GPL-3",
                               "/usr/share/common-licenses/GFDL-1.3",
                               "/usr/share/common-licenses/Apache-2.0"};
    int rc;
    if (argc > 1) {
        rc = count_and_check(argv + 1, argc - 1);
    } else {
        FILE *file = fopen(licences[0], "r");
        if (file == NULL) { /* not a Debian machine */
            printf("word_count: no text here; name some files\n");
            return 0;
        }
        (void)fclose(file);
        rc = count_and_check(licences, 3);
    }
    if (rc < 0)
        fprintf(stderr, "word_count: %s\n", weft_strerror(rc));
    return rc == 0 ? 0 : 1;
}
