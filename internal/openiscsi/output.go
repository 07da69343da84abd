// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"regexp"
	"strconv"
	"strings"
)

// What iscsiadm says of one login or logout (open-iscsi's usr/session_mgmt.c):
// a success is one line on its standard output, a failure two on the other.
var (
	doneLine   = regexp.MustCompile(`^(?:Login to|Logout of) \[(.*)\] successful\.$`)
	failedLine = regexp.MustCompile(`^iscsiadm: Could not (?:login to|logout of) \[(.*)\]\.$`)
	reasonLine = regexp.MustCompile(`^iscsiadm: initiator reported error \(([0-9]{1,3}) - .*\)$`)
)

// codeUnknown is the outcome of a failure for which no reason is given.
const codeUnknown = -1

// outcomes reads what an iscsiadm that logged in or out said of each portal or
// session. The key is what stands in the brackets; the value is the code of
// include/iscsi_err.h, 0 for success. Lines of any other form are passed over.
func outcomes(stdout, stderr string) map[string]int {
	codes := map[string]int{}
	for line := range strings.Lines(stdout) {
		if m := doneLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			codes[m[1]] = 0
		}
	}
	failed := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if m := failedLine.FindStringSubmatch(line); m != nil {
			failed = m[1]
			codes[failed] = codeUnknown
		} else if m := reasonLine.FindStringSubmatch(line); m != nil && failed != "" {
			if code, err := strconv.Atoi(m[1]); err == nil && code != 0 {
				codes[failed] = code
			}
			failed = "" // a second reason would be somebody else's
		}
	}
	return codes
}
