// A peer: net/http in Go, a goroutine for each page, all on one thread. It prints the
// titles of the pages in a file of URLs, and finds them without a parser.
//
//	go WORKERS FILE
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
)

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func getTitle(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(page, []byte("<title>"))
	title, _, found := bytes.Cut(rest, []byte("</title>"))
	if response.StatusCode != http.StatusOK || !found {
		return "", fmt.Errorf("%s: no title, status %d", url, response.StatusCode)
	}
	return string(title), nil
}

func work(urls <-chan string, lines chan<- string) {
	for url := range urls {
		title, err := getTitle(url)
		if err != nil {
			fail(err.Error())
		}
		lines <- url + "\t" + title + "\n"
	}
}

func fetchAll(urls []string, workers int) {
	queue := make(chan string)
	lines := make(chan string)
	for i := 0; i < workers; i++ {
		go work(queue, lines)
	}
	go func() {
		for _, url := range urls {
			queue <- url
		}
		close(queue)
	}()
	output := bufio.NewWriter(os.Stdout)
	for range urls {
		output.WriteString(<-lines)
	}
	if err := output.Flush(); err != nil {
		fail(err.Error())
	}
}

// Go raises the limit of open files by itself, as far as it goes.
func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) != 3 {
		fail("usage: go WORKERS FILE")
	}
	workers, err := strconv.Atoi(os.Args[1])
	if err != nil || workers < 1 {
		fail("'" + os.Args[1] + "' is not a number of 1 or more")
	}
	file, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err.Error())
	}
	fetchAll(strings.Fields(string(file)), workers)
}
