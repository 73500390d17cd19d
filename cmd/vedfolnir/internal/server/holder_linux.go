package server

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// holder names the process that listens on the port, if this one may see it.
func holder(port int) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for _, inode := range listening(table, port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err == nil && sockets[target] {
			pid := strings.Split(fd, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// listening reads the inodes of sockets that listen on the port. (proc(5): the
// second field is address and port in hexadecimal, the fourth the state, 0A for
// listening, the tenth the inode.)
func listening(table string, port int) (inodes []string) {
	file, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer file.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == "0A" {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
