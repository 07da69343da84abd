// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits on tags, as EC2 has them ("Tag restrictions"), in characters.
const (
	MaxTags     = 50 // of one volume or node
	MaxTagKey   = 128
	MaxTagValue = 256
)

// CheckTag returns why a tag breaks a rule, in a sentence, or nil. A tag comes
// back as it was given: what XML 1.0 cannot carry is refused.
func CheckTag(key, value string) error {
	switch {
	case key == "":
		return errors.New("the key of a tag must not be empty")
	case utf8.RuneCountInString(key) > MaxTagKey:
		return fmt.Errorf("the key of a tag has at most %d characters", MaxTagKey)
	case utf8.RuneCountInString(value) > MaxTagValue:
		return fmt.Errorf("the value of a tag has at most %d characters", MaxTagValue)
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return errors.New("keys that begin with aws: are reserved")
	case strings.ContainsFunc(key+value, unprintable):
		return errors.New("a tag holds no control characters")
	}
	return nil
}

// unprintable reports whether r is a control character, the mark of invalid
// UTF-8, or one of the two that XML 1.0 §2.2 leaves out besides.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\uFFFE' || r == '\uFFFF'
}
