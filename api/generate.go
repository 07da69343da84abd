// SPDX-License-Identifier: Apache-2.0

// Package api holds the messages that pass between the parts, as .proto files,
// and the code generated from them.
package api

//go:generate protoc --proto_path=. --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative cloud/v1/cloud.proto sp/v1/sp.proto
