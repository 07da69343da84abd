// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee/internal/command"
)

// What iscsiadm says of a login (log_login_msg in open-iscsi's
// usr/session_mgmt.c): a success is one line on its standard output, a failure two
// on the other. Brackets hold iface, target and portal.
var (
	doneLine   = regexp.MustCompile(`^Login to \[(.*)\] successful\.$`)
	failedLine = regexp.MustCompile(`^iscsiadm: Could not login to \[(.*)\]\.$`)
	reasonLine = regexp.MustCompile(`^iscsiadm: initiator reported error \(([0-9]{1,3}) - .*\)$`)
)

// codeUnknown is that of a failure for which iscsiadm gives no reason.
const codeUnknown = -1

// outcomes returns what iscsiadm said of each login: the code of its failure, 0
// for success, by what stands in the brackets. Other lines are passed over.
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
			failed = "" // one more would be of something else
		}
	}
	return codes
}

// stderr returns what the program printed whose failure err is.
func stderr(err error) string {
	if failure, ok := errors.AsType[*command.Error](err); ok {
		return failure.Stderr
	}
	return ""
}
