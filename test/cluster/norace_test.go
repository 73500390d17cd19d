//go:build !race

package cluster

// racing: the nodes look for races too.
const racing = false
