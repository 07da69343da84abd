// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

func Example() {
	c, err := client.New(client.Config{
		Endpoint:  "https://clc.example.net:8773",
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		CAFile:    "/etc/mallee/ca.pem",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := c.CreateVolume(ctx, mallee.VolumeSpec{
		Partition: "PARTI00", SizeGiB: 10,
		ClientToken: string(mallee.NewRequestID()), // the call may be repeated after an error
		Tags:        map[string]string{"Name": "data"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for v.State == mallee.VolumeCreating {
		time.Sleep(time.Second)
		if v, err = c.Volume(ctx, v.ID); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(v.ID, v.State)
}

func ExampleClient_EachVolume() {
	var c *client.Client // see client.New
	mine := client.VolumeQuery{Filters: []client.Filter{
		{Name: "availability-zone", Values: []string{"PARTI00"}},
		{Name: "tag:team", Values: []string{"web", "db*"}},
	}}
	for v, err := range c.EachVolume(context.Background(), mine) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v.ID, v.SizeGiB)
	}
}

// A list gets one more path, provided that nobody has changed it meanwhile.
func ExampleClient_SetProperties() {
	var c *client.Client // see client.New
	const name = "PARTI00.storage.ncpaths"
	ctx := context.Background()
	list, err := c.Properties(ctx, name)
	if err != nil || len(list) != 1 {
		log.Fatal("no such property: ", err)
	}
	seen := list[0].Value
	_, warnings, err := c.SetProperties(ctx, []mallee.PropertySet{{Name: name, Value: seen + ",10.108.1.200", If: &seen}}, false)
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range warnings {
		fmt.Println(w)
	}
}

func ExampleAPIError() {
	var c *client.Client // see client.New
	_, err := c.Volume(context.Background(), "vol-1a2b3c4d")
	if refused, ok := errors.AsType[*client.APIError](err); ok && refused.Code == "InvalidVolume.NotFound" {
		fmt.Println("it is gone")
	}
}
