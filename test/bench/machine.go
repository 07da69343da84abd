// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/mallee-io/mallee/internal/lab"
)

// describe says what results were measured on: "BACKEND: …".
func describe(ctx context.Context, l *lab.Lab, m *lab.Machine) (string, error) {
	kernel, err := m.Run(ctx, "uname", "-sr")
	if err != nil {
		return "", err
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	model, cores := processor(string(info))
	return fmt.Sprintf("%s: %s, on %d cores of %s", l.Backend(), strings.TrimSpace(kernel.Stdout), cores, model), nil
}

// processor reads /proc/cpuinfo.
func processor(info string) (model string, cores int) {
	model = "an unknown processor"
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name":
			model = strings.TrimSpace(value)
		case "processor":
			cores++
		}
	}
	return model, cores
}
