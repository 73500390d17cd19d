package suspicion_test

import (
	"fmt"
	"time"

	"github.com/vedfolnir/session/suspicion"
)

// Behind a pool of proxies the network says nothing, and a session that is clearly in
// other hands is to end.
func ExamplePolicy() {
	policy := suspicion.Policy{
		Weights:  suspicion.Weights{suspicion.NetworkChanged: suspicion.Ignore, suspicion.TwoPlaces: suspicion.Ignore},
		EndScore: 90,
	}
	now := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	marks, _, _ := suspicion.Marks{}.With([]suspicion.Signal{suspicion.UserAgentChanged, suspicion.NetworkChanged}, now)
	fmt.Println(policy.Judge(marks, now).Explanation)
	marks, _, _ = marks.With([]suspicion.Signal{suspicion.PlatformChanged, suspicion.ManyFailures}, now)
	fmt.Println(policy.Judge(marks, now).Explanation)
	// Output:
	// user_agent_changed 40, network_changed 0, score 40: none
	// user_agent_changed 40, platform_changed 25, network_changed 0, many_failures 30, score 95: end
}
