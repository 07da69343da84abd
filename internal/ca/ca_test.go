// SPDX-License-Identifier: Apache-2.0

package ca_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
)

func TestTheSameCAIsOpenedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "ca")
	certs := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range certs {
		wg.Go(func() {
			a, err := ca.OpenOrCreate(dir)
			if err != nil {
				t.Error(err)
				return
			}
			certs[i] = a.CertPEM()
		})
	}
	wg.Wait()
	for _, c := range certs {
		if !bytes.Equal(c, certs[0]) {
			t.Fatal("two processes have two CAs")
		}
	}
	info, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
}

func TestHalfACAIsNotReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	if _, err := ca.OpenOrCreate(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, ca.CertFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.OpenOrCreate(dir); err == nil {
		t.Error("a CA without its certificate was opened")
	}
}

func TestIssueRefuses(t *testing.T) {
	a, err := ca.OpenOrCreate(filepath.Join(t.TempDir(), "ca"))
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]ca.IssueOptions{
		"unknown role":          {Role: "root", Name: "x"},
		"no partition":          {Role: rpc.NC, Name: "nc1"},
		"partition with a dot":  {Role: rpc.NC, Name: "nc1", Partition: "a.b"},
		"no name":               {Partition: "PARTI00", Role: rpc.NC},
		"name with a slash":     {Partition: "PARTI00", Role: rpc.NC, Name: "a/b"},
		"name of another role":  {Partition: "PARTI00", Role: rpc.NC, Name: "nc1", Hosts: []string{"clc.mallee.internal"}},
		"the same, upper case":  {Partition: "PARTI00", Role: rpc.NC, Name: "nc1", Hosts: []string{"CLC.Mallee.Internal"}},
		"wildcard":              {Partition: "PARTI00", Role: rpc.NC, Name: "nc1", Hosts: []string{"*.example.org"}},
		"negative validity":     {Partition: "PARTI00", Role: rpc.NC, Name: "nc1", Validity: -1},
		"host with a port":      {Partition: "PARTI00", Role: rpc.NC, Name: "nc1", Hosts: []string{"a:1"}},
		"name that is too long": {Partition: "PARTI00", Role: rpc.NC, Name: string(bytes.Repeat([]byte("a"), 64))},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := a.Issue(o); err == nil {
				t.Error("a certificate was issued")
			}
		})
	}
}
