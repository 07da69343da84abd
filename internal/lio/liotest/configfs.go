// SPDX-License-Identifier: Apache-2.0

// Package liotest is a configfs with LIO in memory: to make a directory makes its
// attributes appear, and what the kernel (seen with 6.1) refuses is refused.
package liotest

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ConfigFS implements lio.FS. It is safe for concurrent use.
type ConfigFS struct {
	// Device reports whether a block device is there; nil means that each is.
	Device func(name string) bool
	// Discards reports whether a block device takes discards; nil means that each
	// does.
	Discards func(name string) bool
	// Drain is called while a LUN of the TPG is unlinked, and blocks as the kernel
	// does while commands are in flight; nil means that there are none. Meanwhile
	// whoever looks into the LUN's directory blocks too.
	Drain func(link string)
	// Refuse is asked before a link is made, and returns nil or what the kernel
	// says to it; nil refuses none.
	Refuse func(link string) error

	mu         sync.Mutex
	dirs       map[string]bool
	attributes map[string]string
	links      map[string]string
	draining   map[string]chan struct{} // directories, until they have drained
}

// New returns what the kernel has after its modules were loaded.
func New() *ConfigFS {
	c := &ConfigFS{}
	c.Reboot()
	return c
}

// Reboot forgets everything, as the kernel does.
func (c *ConfigFS) Reboot() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dirs = map[string]bool{".": true, "core": true}
	c.attributes = map[string]string{}
	c.links = map[string]string{}
	c.draining = map[string]chan struct{}{}
}

// lookInto waits, as the kernel does, while dir is draining; c.mu is held.
func (c *ConfigFS) lookInto(dir string) {
	for {
		drained, busy := c.draining[dir]
		if !busy {
			return
		}
		c.mu.Unlock()
		<-drained
		c.mu.Lock()
	}
}

// Open reports whether a backstore holds device open.
func (c *ConfigFS) Open(device string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, value := range c.attributes {
		if path.Base(name) == "control" && value == device && c.attributes[path.Join(path.Dir(name), "enable")] == "1" {
			return true
		}
	}
	return false
}

// Mkdir implements lio.FS.
func (c *ConfigFS) Mkdir(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirs[name] {
		return failed("mkdir", name, syscall.EEXIST)
	}
	if !c.dirs[path.Dir(name)] {
		return failed("mkdir", name, syscall.ENOENT)
	}
	made, ok := newObject(name)
	if !ok {
		return failed("mkdir", name, syscall.EINVAL)
	}
	c.dirs[name] = true
	for _, dir := range made.dirs {
		c.dirs[path.Join(name, dir)] = true
	}
	for attribute, value := range made.attributes {
		c.attributes[path.Join(name, attribute)] = value
	}
	if made.kind == acl {
		tpg := path.Dir(path.Dir(name))
		c.attributes[path.Join(name, "cmdsn_depth")] = c.attributes[path.Join(tpg, "attrib/default_cmdsn_depth")]
	}
	return nil
}

// Rmdir implements lio.FS.
func (c *ConfigFS) Rmdir(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookInto(name)
	if !c.dirs[name] {
		return failed("rmdir", name, syscall.ENOENT)
	}
	for link, target := range c.links {
		if target == name || path.Dir(link) == name {
			return failed("rmdir", name, syscall.EBUSY)
		}
	}
	inside := func(n string) bool { return n == name || strings.HasPrefix(n, name+"/") }
	for dir := range c.dirs {
		if made, ok := newObject(dir); ok && made.kind == mappedLUN && path.Dir(dir) == name {
			return failed("rmdir", name, syscall.ENOTEMPTY)
		}
	}
	maps.DeleteFunc(c.dirs, func(n string, _ bool) bool { return inside(n) })
	maps.DeleteFunc(c.attributes, func(n, _ string) bool { return inside(n) })
	return nil
}

// Symlink implements lio.FS.
func (c *ConfigFS) Symlink(target, link string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Refuse != nil {
		if err := c.Refuse(link); err != nil {
			return err
		}
	}
	dir := path.Dir(link)
	c.lookInto(dir)
	if !c.dirs[dir] || !c.dirs[target] {
		return failed("symlink", link, syscall.ENOENT)
	}
	if c.linkIn(dir) != "" {
		return failed("symlink", link, syscall.EEXIST)
	}
	from, _ := newObject(dir)
	to, _ := newObject(target)
	switch {
	case from.kind == tpgLUN && to.kind == backstore && c.attributes[path.Join(target, "enable")] == "1":
	case from.kind == mappedLUN && to.kind == tpgLUN && c.linkIn(target) != "":
	default:
		return failed("symlink", link, syscall.EINVAL)
	}
	c.links[link] = target
	return nil
}

// Unlink implements lio.FS.
func (c *ConfigFS) Unlink(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := path.Dir(name)
	c.lookInto(dir)
	if _, there := c.links[name]; !there {
		return failed("unlink", name, syscall.ENOENT)
	}
	if o, _ := newObject(dir); o.kind == tpgLUN && c.Drain != nil {
		drained := make(chan struct{})
		c.draining[dir] = drained
		drain := c.Drain
		c.mu.Unlock()
		drain(name)
		c.mu.Lock()
		delete(c.draining, dir)
		close(drained)
	}
	delete(c.links, name)
	return nil
}

// Write implements lio.FS.
func (c *ConfigFS) Write(name, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, there := c.attributes[name]
	if !there {
		return failed("write", name, syscall.ENOENT)
	}
	dir := path.Dir(name)
	o, _ := newObject(dir)
	switch base := path.Base(name); {
	case base == "control":
		value = strings.TrimPrefix(value, "udev_path=")
		c.attributes[path.Join(dir, "info")] = "Status: DEACTIVATED\n        UDEV PATH: " + value + "  readonly: 0"
	case base == "enable" && o.kind == backstore:
		device := c.attributes[path.Join(dir, "control")]
		switch {
		case old == "1":
			return failed("write", name, syscall.EEXIST)
		case device == "":
			return failed("write", name, syscall.EINVAL)
		case c.Device != nil && !c.Device(device):
			return failed("write", name, syscall.ENOENT)
		}
	case base == "vpd_unit_serial":
		value = "T10 VPD Unit Serial Number: " + value
	case base == "emulate_tpu" && c.attributes[path.Join(path.Dir(dir), "enable")] != "1":
		return failed("write", name, syscall.EINVAL)
	case base == "emulate_tpu" && c.Discards != nil && !c.Discards(c.attributes[path.Join(path.Dir(dir), "control")]):
		return failed("write", name, syscall.ENOSYS)
	}
	c.attributes[name] = value
	return nil
}

// Read implements lio.FS.
func (c *ConfigFS) Read(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, there := c.attributes[name]
	if !there {
		return "", failed("read", name, syscall.ENOENT)
	}
	return value, nil
}

// List implements lio.FS.
func (c *ConfigFS) List(name string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookInto(name)
	if !c.dirs[name] {
		return nil, failed("open", name, syscall.ENOENT)
	}
	var names []string
	for n := range c.dirs {
		names = append(names, n)
	}
	names = slices.AppendSeq(names, maps.Keys(c.attributes))
	names = slices.AppendSeq(names, maps.Keys(c.links))
	names = slices.DeleteFunc(names, func(n string) bool { return n == name || path.Dir(n) != name })
	for i, n := range names {
		names[i] = path.Base(n)
	}
	slices.Sort(names)
	return names, nil
}

// Readlink implements lio.FS.
func (c *ConfigFS) Readlink(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookInto(path.Dir(name))
	target, there := c.links[name]
	if _, isAttribute := c.attributes[name]; isAttribute || c.dirs[name] {
		return "", failed("readlink", name, syscall.EINVAL)
	}
	if !there {
		return "", failed("readlink", name, syscall.ENOENT)
	}
	// The kernel tells it relative to the link.
	return strings.Repeat("../", strings.Count(name, "/")) + target, nil
}

func (c *ConfigFS) linkIn(dir string) string {
	for link := range c.links {
		if path.Dir(link) == dir {
			return link
		}
	}
	return ""
}

func failed(op, name string, errno syscall.Errno) error {
	return &fs.PathError{Op: op, Path: name, Err: errno}
}
