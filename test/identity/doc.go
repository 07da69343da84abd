// SPDX-License-Identifier: Apache-2.0

// Package identity tests, on real kernels, that the connector never hands out the
// wrong disk, and what becomes of one that turns into another: of a SAN that is
// steered as an array's admin may, and should not.
package identity
