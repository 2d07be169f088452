// SPDX-License-Identifier: BSD-2-Clause

// goroutines.go — a contestant: Go's goroutines, channels and timers; duel.h explains the protocol.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const sleeps = 10

func fail(status int, message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(status)
}

func equal(what string, found, expected int64) {
	if found != expected {
		fail(1, fmt.Sprintf("wrong %s: %d, expected %d", what, found, expected))
	}
}

func value(quantity string, number float64, unit string) {
	fmt.Printf("%s %.9g %s\n", quantity, number, unit)
}

// each times run(n) in batches, as duel_each() does.
func each(seconds float64, run func(n int64)) {
	deadline := time.Now().Add(time.Duration(1e9 * seconds))
	wanted := 1e8 * seconds
	var walls, cpus []float64
	n := int64(16)
	for time.Now().Before(deadline) || len(walls) == 0 {
		begin, used := time.Now(), cpu()
		run(n)
		took := float64(time.Since(begin).Nanoseconds())
		if took < 0.5*wanted && time.Now().Before(deadline) {
			n *= 2
		} else {
			walls = append(walls, took/float64(n))
			cpus = append(cpus, (cpu()-used)/float64(n))
		}
	}
	sort.Float64s(walls)
	sort.Float64s(cpus)
	value("each", walls[len(walls)/2], "ns")
	value("cpu", cpus[len(cpus)/2], "ns")
}

func yield(seconds float64, size int64) {
	runtime.GOMAXPROCS(1)
	many := func(n int64) {
		for i := n; i > 0; i-- {
			runtime.Gosched()
		}
	}
	each(seconds, func(n int64) {
		done := make(chan bool)
		go func() {
			many(n / 2)
			done <- true
		}()
		many(n / 2)
		<-done
	})
}

func start(seconds float64, size int64) {
	runtime.GOMAXPROCS(1)
	each(seconds, func(n int64) {
		var group sync.WaitGroup
		count := int64(0)
		for i := int64(0); i < n; i++ {
			group.Add(1)
			go func() {
				count++
				group.Done()
			}()
			group.Wait()
		}
		equal("goroutines run", count, n)
	})
}

func startBlock(seconds float64, size int64) {
	runtime.GOMAXPROCS(1)
	arrived, goOn := make(chan bool, 1), make(chan bool, 1)
	each(seconds, func(n int64) {
		var group sync.WaitGroup
		count := int64(0)
		for i := int64(0); i < n; i++ {
			group.Add(1)
			go func() {
				arrived <- true
				<-goOn
				count++
				group.Done()
			}()
			<-arrived
			goOn <- true
			group.Wait()
		}
		equal("goroutines run", count, n)
	})
}

func play(seconds float64) {
	ping, pong := make(chan bool), make(chan bool)
	each(seconds, func(n int64) {
		go func() {
			for i := n / 2; i > 0; i-- {
				<-ping
				pong <- true
			}
		}()
		for i := n / 2; i > 0; i-- {
			ping <- true
			<-pong
		}
	})
}

func pingpong(seconds float64, size int64) {
	runtime.GOMAXPROCS(1)
	play(seconds)
}

// pair has two workers; Go's scheduler decides whether it uses both.
func pair(seconds float64, size int64) {
	runtime.GOMAXPROCS(2)
	play(seconds)
}

func status(field string) float64 {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(2, err.Error())
	}
	for _, line := range strings.Split(string(content), "\n") {
		if strings.HasPrefix(line, field) {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib
		}
	}
	fail(2, "no "+field+" in /proc/self/status")
	return 0
}

func memory(seconds float64, size int64) {
	if size == 0 {
		size = 1000000
	}
	runtime.GOMAXPROCS(1)
	gate := make(chan bool)
	var begun, ended sync.WaitGroup
	begun.Add(int(size))
	ended.Add(int(size))
	before, tables := status("VmRSS:"), status("VmPTE:")
	passed := int64(0)
	for i := int64(0); i < size; i++ {
		go func() {
			begun.Done()
			<-gate
			passed++
			ended.Done()
		}()
	}
	begun.Wait()
	value("bytes", 1024*(status("VmRSS:")-before)/float64(size), "B")
	value("tables", 1024*(status("VmPTE:")-tables)/float64(size), "B")
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		fail(2, err.Error())
	}
	value("mappings", float64(strings.Count(string(maps), "\n")), "-")
	equal("goroutines that passed a closed gate", passed, 0)
	close(gate)
	ended.Wait()
	equal("goroutines that passed the gate", passed, size)
}

func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(2, err.Error())
	}
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

func sleepers(seconds float64, size int64) {
	if size == 0 {
		size = 100000
	}
	runtime.GOMAXPROCS(1)
	var group sync.WaitGroup
	group.Add(int(size))
	count := int64(0)
	begin, used := time.Now(), cpu()
	for i := int64(0); i < size; i++ {
		go func() {
			for j := 0; j < sleeps; j++ {
				time.Sleep(10 * time.Millisecond)
				count++
			}
			group.Done()
		}()
	}
	group.Wait()
	value("wall", 1e3*time.Since(begin).Seconds(), "ms")
	value("cpu", (cpu()-used)/float64(sleeps*size), "ns")
	equal("sleeps", count, sleeps*size)
}

var order = []string{"yield", "start", "start-block", "pingpong", "pair", "memory", "sleepers"}

var duels = map[string]func(float64, int64){
	"yield": yield, "start": start, "start-block": startBlock, "pingpong": pingpong, "pair": pair,
	"memory": memory, "sleepers": sleepers,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		fmt.Println(runtime.Version())
		fmt.Println(strings.Join(order, "\n"))
		return
	}
	if len(os.Args) < 2 || duels[os.Args[1]] == nil {
		fail(2, "unknown duel")
	}
	seconds, size := 0.1, int64(0)
	if len(os.Args) > 2 {
		seconds, _ = strconv.ParseFloat(os.Args[2], 64)
	}
	if len(os.Args) > 3 {
		size, _ = strconv.ParseInt(os.Args[3], 10, 64)
	}
	time.AfterFunc(120*time.Second, func() { fail(2, "no end in sight after 120 s") })
	duels[os.Args[1]](seconds, size)
}
