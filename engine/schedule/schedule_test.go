package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

func TestConfigIsChecked(t *testing.T) {
	_, err := schedule.New(schedule.Config{StepTokens: 4, Sequences: 8})
	assert.ErrorContains(t, err, "8 sequences and 4 tokens")
	_, err = schedule.New(schedule.Config{StepTokens: 4})
	assert.Error(t, err)
}

func TestFullQueueRefuses(t *testing.T) {
	s, err := schedule.New(schedule.Config{StepTokens: 8, Sequences: 2, QueueJobs: 1})
	require.NoError(t, err)
	now := time.Unix(0, 0)
	require.NoError(t, s.Submit(now, schedule.Job{ID: 1, Prompt: 4, MaxNew: 1}))
	err = s.Submit(now, schedule.Job{ID: 2, Prompt: 4, MaxNew: 1})
	var refused *schedule.Refused
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, schedule.RefusedQueue, refused.Reason)
	assert.Positive(t, refused.RetryAfter)
}
