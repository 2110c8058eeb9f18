// main.go - every call of analytics-go: main URL KEY
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

type report struct{ failed bool }

func (r *report) Success(analytics.Message) {}
func (r *report) Failure(m analytics.Message, err error) {
	fmt.Fprintln(os.Stderr, err)
	r.failed = true
}

func main() {
	result := &report{}
	a, err := analytics.NewWithConfig(os.Args[2], analytics.Config{
		Endpoint: os.Args[1], BatchSize: 3, Interval: 200 * time.Millisecond, Callback: result,
	})
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 11, 1, 10, 0, 0, 250123456, time.UTC)
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			result.failed = true
		}
	}
	check(a.Enqueue(analytics.Identify{UserId: "u-go", Traits: analytics.Traits{
		"email": "a@go", "name": "é😀", "age": 42}}))
	check(a.Enqueue(analytics.Track{UserId: "u-go", Event: "Order Completed", Timestamp: at,
		Properties: analytics.Properties{"mark": "go-track", "revenue": 1.5,
			"nested": map[string]interface{}{"a": []interface{}{1, nil, true}}}}))
	check(a.Enqueue(analytics.Track{AnonymousId: "anon-go", Event: "Visited",
		Properties: analytics.Properties{"mark": "go-anonymous"}}))
	check(a.Enqueue(analytics.Page{UserId: "u-go", Name: "Home", Properties: analytics.Properties{
		"mark": "go-page", "category": "Main",
		"url": "http://shop.example/a?utm_source=news&utm_medium=email"}}))
	check(a.Enqueue(analytics.Screen{UserId: "u-go", Name: "Cart",
		Properties: analytics.Properties{"mark": "go-screen"}}))
	check(a.Enqueue(analytics.Group{UserId: "u-go", GroupId: "g-go",
		Traits: analytics.Traits{"plan": "pro"}}))
	check(a.Enqueue(analytics.Alias{UserId: "u2-go", PreviousId: "u-go"}))
	check(a.Close())
	if result.failed {
		os.Exit(1)
	}
}
