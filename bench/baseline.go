// Baseline is a Go server with one fixed answer, to compare the memory and latency of a small Go program with.
//
// It listens on a free port of loopback and writes the port to standard output.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
)

const answer = `{"hello": "world"}`

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening at: %d\n", listener.Addr().(*net.TCPAddr).Port)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	})
	log.Fatal(http.Serve(listener, nil))
}
