// SPDX-License-Identifier: Apache-2.0

// Package sysfs reads and writes the attributes that the kernel shows as files below
// /sys: each is taken and given whole, in one read or write of a page
// (Documentation/filesystems/sysfs.rst).
//
// A node looks at thousands of them in a storm. So nothing is done that a plain file
// needs and these do not, such as polling, truncating, or reading until the end.
package sysfs

import (
	"bytes"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Read returns an attribute without the white space around it. The error is an
// *fs.PathError; a device that is just going answers unix.ENODEV.
func Read(file string) (string, error) {
	fd, err := open(file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var page [4096]byte
	n, err := again(func() (int, error) { return unix.Read(fd, page[:]) })
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: file, Err: err}
	}
	return string(bytes.TrimSpace(page[:n])), nil
}

// Write writes an attribute, and returns when the kernel has done what that asks for,
// however long it takes. The error is an *fs.PathError.
func Write(file, value string) error {
	fd, err := open(file, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := again(func() (int, error) { return unix.Write(fd, []byte(value)) }); err != nil {
		return &fs.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}

func open(file string, mode int) (int, error) {
	fd, err := again(func() (int, error) { return unix.Open(file, mode|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: file, Err: err}
	}
	return fd, nil
}

// again calls until no signal has come in between: Go sends some to its own threads.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
