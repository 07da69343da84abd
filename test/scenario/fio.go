// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

// Workload is a run of fio that writes blocks with checksums at a steady rate,
// which its devices share, and reads every one of them back.
type Workload struct {
	Devices []string      // "/dev/mallee/vol-…"
	Offset  int64         // first byte used of each
	Length  time.Duration // of the writing; the reading comes after it
	// Durable has each write on stable storage before the next of its slot, as a
	// database's log is (O_DSYNC, which is FUA on the wire). Without it a write may
	// be lost with the power of the storage processor, as with that of any disk
	// that tells of a volatile cache.
	Durable bool
}

const (
	fioBlock = 16 << 10
	fioRate  = 200 // writes a second, to all devices together
	// Each durable write of a new block is a commit of the thin pool's metadata.
	durableRate = 10
	fioDir      = "/tmp/fio"
)

// Outcome is what fio says of a workload.
type Outcome struct {
	Errors        int
	BytesWritten  int64
	BytesVerified int64
	// LongestStall is the longest time in which no write to one of the devices completed.
	LongestStall time.Duration
}

// Fio is a running workload.
type Fio struct {
	machine *lab.Machine
	process *lab.Process
	devices []string // "dm-0"
}

// StartFio starts a workload on a machine.
func StartFio(ctx context.Context, m *lab.Machine, w Workload) (*Fio, error) {
	rate, sync := int64(fioRate), "none"
	if w.Durable {
		rate, sync = durableRate, "dsync"
	}
	rate /= int64(len(w.Devices))
	size := int64(w.Length/time.Second) * rate * fioBlock
	if _, err := m.Run(ctx, "sh", "-ec", "rm -rf "+fioDir+"; mkdir "+fioDir); err != nil {
		return nil, err
	}
	argv := []string{
		"fio", "--sync=" + sync,
		fmt.Sprintf("--offset=%d", w.Offset), fmt.Sprintf("--size=%d", size), fmt.Sprintf("--bs=%d", fioBlock),
		"--rw=randwrite", "--ioengine=libaio", "--direct=1", "--iodepth=8", fmt.Sprintf("--rate_iops=,%d", rate),
		"--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0",
		"--write_lat_log=" + fioDir + "/log", "--output-format=json", "--output=" + fioDir + "/out.json",
	}
	for i, device := range w.Devices {
		argv = append(argv, fmt.Sprintf("--name=guest%d", i+1), "--filename="+device)
	}
	p, err := m.Spawn(ctx, "fio", argv...)
	if err != nil {
		return nil, err
	}
	f := &Fio{machine: m, process: p}
	nodes, err := m.Run(ctx, append([]string{"readlink", "-f"}, w.Devices...)...)
	if err != nil {
		return nil, err
	}
	for _, node := range strings.Fields(nodes.Stdout) {
		f.devices = append(f.devices, strings.TrimPrefix(node, "/dev/"))
	}
	return f, f.AwaitWrites(ctx)
}

// AwaitWrites waits until each device has completed some more writes: what is to
// be shown under I/O must come neither before the first nor after the last.
func (f *Fio) AwaitWrites(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	first := map[string]int64{}
	return Eventually(ctx, 100*time.Millisecond, func() (bool, error) {
		done := true
		for _, device := range f.devices {
			now, err := f.written(ctx, device)
			if err != nil {
				return false, err
			}
			if _, known := first[device]; !known {
				first[device] = now
			}
			if now < first[device]+durableRate {
				done = false
			}
		}
		return done, errors.New("fio does not write to each of its devices")
	})
}

// written returns how many writes a device, "dm-0", has completed
// (Documentation/block/stat.rst of Linux).
func (f *Fio) written(ctx context.Context, device string) (int64, error) {
	text, err := f.machine.ReadFile(ctx, "/sys/class/block/"+device+"/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 5 {
		return 0, fmt.Errorf("%s has the statistics %q", device, text)
	}
	return strconv.ParseInt(fields[4], 10, 64)
}

// Wait waits for the end of the workload.
func (f *Fio) Wait(ctx context.Context) (Outcome, error) {
	code, err := f.process.Wait(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("fio does not end: %w", err)
	}
	out, err := f.machine.ReadFile(ctx, fioDir+"/out.json")
	if err != nil {
		return Outcome{}, err
	}
	o, err := parseOutput(out)
	if err != nil {
		log, _ := f.process.Log(ctx)
		return o, fmt.Errorf("fio's report is not readable: %w: %s", err, log)
	}
	if code != 0 {
		o.Errors = max(o.Errors, 1)
	}
	for i := range f.devices {
		log, err := f.machine.ReadFile(ctx, fmt.Sprintf("%s/log_clat.%d.log", fioDir, i+1))
		if err != nil {
			return o, err
		}
		gap, err := longestGap(log)
		if err != nil {
			return o, err
		}
		o.LongestStall = max(o.LongestStall, gap)
	}
	return o, nil
}

func parseOutput(out []byte) (Outcome, error) {
	// fio may print notes before the JSON.
	start := bytes.IndexByte(out, '{')
	if start < 0 {
		return Outcome{}, errors.New("no JSON")
	}
	var report struct {
		Jobs []struct {
			Error       int `json:"error"`
			TotalErrors int `json:"total_err"`
			Read, Write struct {
				Bytes int64 `json:"io_bytes"`
			}
		} `json:"jobs"`
	}
	if err := json.NewDecoder(bytes.NewReader(out[start:])).Decode(&report); err != nil {
		return Outcome{}, err
	}
	var o Outcome
	for _, j := range report.Jobs {
		o.Errors += j.TotalErrors
		if j.Error != 0 && j.TotalErrors == 0 {
			o.Errors++
		}
		o.BytesWritten += j.Write.Bytes
		o.BytesVerified += j.Read.Bytes
	}
	return o, nil
}

// longestGap finds the longest time between two completed writes in fio's
// latency log: "milliseconds, latency, direction, block size, offset, …" for
// each, direction 1 being a write.
func longestGap(log []byte) (time.Duration, error) {
	var longest, last int64
	scanner := bufio.NewScanner(bytes.NewReader(log))
	for scanner.Scan() {
		field := strings.Split(scanner.Text(), ",")
		if len(field) < 3 || strings.TrimSpace(field[2]) != "1" {
			continue
		}
		at, err := strconv.ParseInt(strings.TrimSpace(field[0]), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("fio's log is not readable: %w", err)
		}
		longest, last = max(longest, at-last), max(last, at)
	}
	return time.Duration(longest) * time.Millisecond, scanner.Err()
}
