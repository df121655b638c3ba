// A peer: worker pools in Go, 2 goroutines that take tasks from a channel. One pool sends
// all results into one channel, in the order in which they come. The other gives each task
// a channel of its own, which is what a future is in Go.
//
//	go time COUNT        seconds for COUNT empty tasks, one channel of results
//	go futures COUNT     the same, a channel for each result
//	go pending COUNT     bytes for each of COUNT pending tasks, one channel of results
//	go pending-futures COUNT    the same, a channel for each result
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const workers = 2

// This many tasks, and this many results, may be on their way: more did not make it faster.
const room = 1024

type task struct {
	index    int
	argument string
}

type result struct {
	index int
	text  string
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

// ---- One channel of results ----

func work(tasks <-chan task, results chan<- result) {
	for task := range tasks {
		results <- result{task.index, task.argument}
	}
}

func submitAll(tasks chan<- task, count int) {
	for i := 0; i < count; i++ {
		tasks <- task{i, ""}
	}
	close(tasks)
}

func readAll(results <-chan result, count int) {
	texts := make([]string, count)
	for i := 0; i < count; i++ {
		result := <-results
		texts[result.index] = result.text
	}
}

func seconds(count int) float64 {
	tasks := make(chan task, room)
	results := make(chan result, room)
	for i := 0; i < workers; i++ {
		go work(tasks, results)
	}
	begin := time.Now()
	go submitAll(tasks, count)
	readAll(results, count)
	return time.Since(begin).Seconds()
}

// The channel of tasks has room for all, and the workers begin when it is full.
func bytesAPendingTask(count int) float64 {
	before := residentBytes()
	tasks := make(chan task, count)
	submitAll(tasks, count)
	after := residentBytes()
	results := make(chan result, room)
	for i := 0; i < workers; i++ {
		go work(tasks, results)
	}
	readAll(results, count)
	return float64(after-before) / float64(count)
}

// ---- A channel for each result ----

type futureTask struct {
	argument string
	result   chan string
}

func workForFutures(tasks <-chan futureTask) {
	for task := range tasks {
		task.result <- task.argument
	}
}

func submitFutures(tasks chan<- futureTask, futures []chan string) {
	for i := range futures {
		futures[i] = make(chan string, 1)
		tasks <- futureTask{"", futures[i]}
	}
	close(tasks)
}

func readFutures(futures []chan string) {
	for _, future := range futures {
		if <-future != "" {
			fail("a task returned something else")
		}
	}
}

func secondsWithFutures(count int) float64 {
	tasks := make(chan futureTask, room)
	for i := 0; i < workers; i++ {
		go workForFutures(tasks)
	}
	futures := make([]chan string, count)
	begin := time.Now()
	submitFutures(tasks, futures)
	readFutures(futures)
	return time.Since(begin).Seconds()
}

func bytesAPendingFuture(count int) float64 {
	futures := make([]chan string, count)
	for i := range futures {
		futures[i] = nil // the caller's: resident, and not counted
	}
	before := residentBytes()
	tasks := make(chan futureTask, count)
	submitFutures(tasks, futures)
	after := residentBytes()
	for i := 0; i < workers; i++ {
		go workForFutures(tasks)
	}
	readFutures(futures)
	return float64(after-before) / float64(count)
}

func residentBytes() int {
	var size, resident int
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err.Error())
	}
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		fail(err.Error())
	}
	return resident * os.Getpagesize()
}

func main() {
	measures := map[string]func(int) float64{
		"time":            seconds,
		"futures":         secondsWithFutures,
		"pending":         bytesAPendingTask,
		"pending-futures": bytesAPendingFuture,
	}
	if len(os.Args) != 3 || measures[os.Args[1]] == nil {
		fail("usage: go time|futures|pending|pending-futures COUNT")
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil || count < 1 {
		fail("'" + os.Args[2] + "' is not a number of 1 or more")
	}
	fmt.Printf("%.9f\n", measures[os.Args[1]](count))
}
