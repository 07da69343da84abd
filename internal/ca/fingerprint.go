// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprint returns the SHA-256 of the CA's certificate, in hexadecimal digits.
func (a *CA) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}
