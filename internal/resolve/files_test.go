// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
)

// expectChange makes a change and sees that it is told in time: a little more than
// d, for a look that falls on the same instant.
func (m *machine) expectChange(d time.Duration, change func()) {
	m.t.Helper()
	changed := m.Changed()
	change()
	select {
	case <-changed:
	case <-time.After(d + 100*time.Millisecond):
		m.t.Fatalf("no change was told within %v", d)
	}
}

func (m *machine) expectWritten(name, text string) {
	m.t.Helper()
	m.expectChange(2*time.Second, func() { m.write(name, text) })
}

func (m *machine) expectDevices(names ...string) {
	m.t.Helper()
	m.expectChange(time.Second, func() { m.change(func() { m.devices = names }) })
}

// labels prints "iface0=eth0 iface7=eth7!", with a mark for a problem.
func labels(list []mallee.InterfaceLabel) string {
	var words []string
	for _, l := range list {
		word := l.Label + "=" + l.NetDevice
		if l.Problem != "" {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (m *machine) expectLabels(want string) {
	m.t.Helper()
	if got := labels(m.Labels()); got != want {
		m.t.Errorf("the labels are %q, want %q", got, want)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	const first, second = "STORAGE_INTERFACES=a=eth0\n", "STORAGE_INTERFACES=a=eth1,b=eth0\n"
	for name, change := range map[string]func(m *machine, path string) error{
		"written in place": func(_ *machine, path string) error { return os.WriteFile(path, []byte(second), 0o600) },
		"renamed over": func(m *machine, path string) error {
			m.write("new", second)
			return os.Rename(filepath.Join(m.dir, "new"), path)
		},
		"older than the one before": func(m *machine, path string) error {
			m.write("new", second)
			if err := os.Chtimes(filepath.Join(m.dir, "new"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				return err
			}
			return os.Rename(filepath.Join(m.dir, "new"), path)
		},
		"behind a symbolic link": func(m *machine, path string) error {
			m.write("new", second)
			return os.Symlink("new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := map[string]string{"eucalyptus.conf": first}
				if strings.Contains(name, "link") {
					files = nil
				}
				m := newMachine(t, files)
				m.run()
				m.expectQuiet(10 * time.Second)
				m.expectChange(2*time.Second, func() {
					if err := change(m, filepath.Join(m.dir, "eucalyptus.conf")); err != nil {
						t.Fatal(err)
					}
				})
				m.expectLabels("a=eth1 b=eth0")
				m.expectQuiet(10 * time.Second)
			})
		})
	}
}

func TestFilesAndDirectoriesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, nil)
		m.run()
		m.expectQuiet(5 * time.Second)
		m.expectWritten("eucalyptus.conf", "STORAGE_INTERFACES=a=eth0\n")
		m.expectLabels("a=eth0")
		m.expectChange(2*time.Second, func() {
			if err := os.Rename(m.dir, m.dir+".away"); err != nil {
				t.Fatal(err)
			}
		})
		m.expectLabels("")
		m.expectChange(2*time.Second, func() {
			if err := os.Rename(m.dir+".away", m.dir); err != nil {
				t.Fatal(err)
			}
		})
		m.expectLabels("a=eth0")
		m.expectQuiet(5 * time.Second)
	})
}

// An editor that removes the file before it renames the new one, or that has
// written half of it, is not caught in between.
func TestAFileIsReadWhenItHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0,b=eth1\n"})
		m.run()
		synctest.Wait()
		path := filepath.Join(m.dir, "eucalyptus.conf")
		for range 5 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			m.expectQuiet(900 * time.Millisecond)
			m.write("eucalyptus.conf", "STORAGE_INTER")
			m.expectQuiet(900 * time.Millisecond)
			m.write("eucalyptus.conf", "STORAGE_INTERFACES=a=eth0,b=eth1\n")
			m.expectQuiet(900 * time.Millisecond)
		}
	})
}

func TestLabelsStayWhileAFileCannotBeRead(t *testing.T) {
	const good = "[storage.interfaces]\na='eth0'\n"
	for name, test := range map[string]struct {
		file string
		make func(path string) error
		want string // the warning
	}{
		"no TOML": {"malleed.toml", func(path string) error {
			return os.WriteFile(path, []byte("[storage"), 0o600)
		}, "! the storage interfaces stay as they were: malleed.toml: toml: line 1"},
		"another section at fault": {"malleed.toml", func(path string) error {
			return os.WriteFile(path, []byte("[storage.interfaces]\na='eth1'\n[nc]\npartition='a.b'\n"), 0o600)
		}, `! the storage interfaces stay as they were: malleed.toml: nc.partition is "a.b"`},
		"an entry at fault": {"malleed.toml", func(path string) error {
			return os.WriteFile(path, []byte("[storage.interfaces]\na='eth1'\nb='-h'\n';'=''\n"), 0o600)
		}, `! the storage interfaces stay as they were: malleed.toml: storage.interfaces has the label ";": write`},
		"a directory": {"eucalyptus.conf", func(path string) error {
			return os.Mkdir(path, 0o700)
		}, "! the storage interfaces stay as they were: eucalyptus.conf is no regular file of at most 1048576 bytes"},
		"a pipe": {"eucalyptus.conf", func(path string) error {
			return syscall.Mkfifo(path, 0o600)
		}, "! the storage interfaces stay as they were: eucalyptus.conf is no regular file"},
		"too large": {"eucalyptus.conf", func(path string) error {
			return os.WriteFile(path, make([]byte, 1<<20+1), 0o600)
		}, "! the storage interfaces stay as they were: eucalyptus.conf is no regular file of at most"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, map[string]string{"malleed.toml": good, "eucalyptus.conf": "STORAGE_INTERFACES=c=eth1\n"})
				m.run()
				path := filepath.Join(m.dir, test.file)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				m.expectChange(2*time.Second, func() {
					if err := test.make(path); err != nil {
						t.Fatal(err)
					}
				})
				m.expectLabels("a=eth0 c=eth1")
				got := m.lines(m.Resolve(parse(t, "a:10.107.1.200"), nil))
				if len(got) != 2 || got[0] != "a:10.107.1.200 eth0 10.107.1.200:3260" || !strings.HasPrefix(got[1], test.want) || strings.Contains(got[1], "\n") {
					t.Errorf("got %q, want the warning %q", got, test.want)
				}
				m.expectQuiet(time.Minute)
				if n := m.logged("at fault"); n != 1 {
					t.Errorf("the fault was logged %d times", n)
				}

				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				m.expectWritten(test.file, map[string]string{"malleed.toml": good, "eucalyptus.conf": "STORAGE_INTERFACES=c=eth1\n"}[test.file])
				m.expect("a:10.107.1.200", "a:10.107.1.200 eth0 10.107.1.200:3260")
			})
		})
	}
}

func TestWhatIsNoChangeIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0\n", "malleed.toml": ""})
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "a:san1"), nil)
		m.expectQuiet(5 * time.Minute)
		m.write("eucalyptus.conf", "# for a guest\nLOGLEVEL=INFO\nSTORAGE_INTERFACES = 'a = eth0'\n")
		m.write("malleed.toml", "[log]\nlevel='debug'\n")
		m.change(func() { m.devices = []string{"tap0", "eth1", "eth0", "lo"} })
		m.expectQuiet(time.Minute)
		m.change(func() { m.devices = []string{"eth1", "eth0", "lo"} })
		m.expectQuiet(time.Minute)
	})
}

func TestDevicesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0,b=eth1\n"})
		m.run()
		m.expect("a:10.107.1.200,[fe80::1%eth1]", "a:10.107.1.200 eth0 10.107.1.200:3260", "[fe80::1%eth1] [fe80::1%eth1]:3260")

		m.expectDevices("lo", "eth1")
		m.expectLabels("a=eth0! b=eth1")
		m.expect("a:10.107.1.200", `a:10.107.1.200 eth0 ? no network device eth0 on this machine, and the label "a" stands for it`)

		m.expectWritten("eucalyptus.conf", "STORAGE_INTERFACES=a=eth2\n")
		m.expectDevices("lo", "eth2")
		m.expectLabels("a=eth2")
		m.expect("[fe80::1%eth1]", "[fe80::1%eth1] ? no network device eth1 on this machine")
		m.expectDevices("lo", "eth1", "eth2")
		m.expect("[fe80::1%eth1]", "[fe80::1%eth1] [fe80::1%eth1]:3260")
	})
}

// When the kernel cannot list its devices, none of them is gone.
func TestDevicesStayWhileTheyCannotBeListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0\n"})
		m.run()
		m.expectDevices()
		m.expect("a:10.107.1.200", "a:10.107.1.200 eth0 10.107.1.200:3260", "! the network devices count as they were: no buffer space available")
		m.expectQuiet(time.Minute)
		if n := m.logged("at fault"); n != 1 {
			t.Errorf("it was logged %d times", n)
		}
	})
}

// Names are looked up at once when labels change.
func TestLabelsAndNamesChangeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0\n"})
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		m.ResolveNow(t.Context(), parse(t, "a:san1"), nil)
		m.change(func() { m.hosts["san1"] = []string{"10.108.1.200"} })
		m.write("eucalyptus.conf", "STORAGE_INTERFACES=a=eth1,b=eth0\n")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		m.expect("a:san1", "a:san1 eth1 10.108.1.200:3260")
	})
}

// An admin edits the file and sets the property in the next moment: the check of
// the new list knows the label, and DNS as it is by then.
func TestACheckLooksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0\n"})
		m.hosts["san1"] = []string{"10.107.1.200"}
		m.run()
		check := func(want ...string) {
			t.Helper()
			begun := time.Now()
			got := m.lines(m.ResolveNow(t.Context(), parse(t, "b:san1,san2"), nil))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if took := time.Since(begun); took > 200*time.Millisecond {
				t.Errorf("it took %v", took)
			}
		}
		m.write("eucalyptus.conf", "STORAGE_INTERFACES=a=eth0,b=eth1\n")
		check("b:san1 eth1 10.107.1.200:3260", "san2 ? san2: no such host")
		m.change(func() { m.hosts["san2"] = []string{"10.107.1.202"} })
		if err := os.Remove(filepath.Join(m.dir, "eucalyptus.conf")); err != nil {
			t.Fatal(err)
		}
		m.write("malleed.toml", "[storage.interfaces]\nb='eth0'\n")
		check("b:san1 eth0 10.107.1.200:3260", "san2 10.107.1.202:3260")
	})
}

// A file that is written on and on, or that cannot be read, ends a check's look too.
func TestACheckWaitsForNoFileForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, map[string]string{"eucalyptus.conf": "STORAGE_INTERFACES=a=eth0\n", "malleed.toml": "[storage"})
		m.run()
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.ResolveNow(t.Context(), parse(t, "a:10.107.1.200"), nil)
		}()
		for i := 1; ; i++ {
			m.write("new", "STORAGE_INTERFACES=a=eth0\n"+strings.Repeat("#", i))
			if err := os.Rename(filepath.Join(m.dir, "new"), filepath.Join(m.dir, "eucalyptus.conf")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-done:
				m.expectLabels("a=eth0")
				return
			case <-time.After(50 * time.Millisecond):
			}
			if i > 20 {
				t.Fatal("the check waits for ever")
			}
		}
	})
}
