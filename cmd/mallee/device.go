// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/mallee-io/mallee"
)

// freeDevice returns the first name for a guest's device that no volume of an
// instance has: /dev/sdf to /dev/sdz, then /dev/sdaa to /dev/sdzz. EC2 leaves
// the names before /dev/sdf to disks that an image brings.
func freeDevice(volumes []mallee.Volume, instance mallee.InstanceID) (string, error) {
	taken := map[string]bool{}
	for _, v := range volumes {
		if v.Attachment != nil && v.Attachment.InstanceID == instance {
			taken[v.Attachment.Device] = true
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	for i := 'f' - 'a'; i < 27*26; i++ {
		name := "/dev/sd" + letters[i%26:i%26+1]
		if i >= 26 {
			name = "/dev/sd" + letters[i/26-1:i/26] + letters[i%26:i%26+1]
		}
		if !taken[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s has a volume under each device name from /dev/sdf to /dev/sdzz: name one with --device", instance)
}
