package chat

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDefaults renders every built-in template.
func TestDefaults(t *testing.T) {
	c := &Conversation{
		Messages: []Message{
			{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Hi"},
			{Role: "assistant", Content: "Hello."}, {Role: "user", Content: "Why?"},
		},
		AddGenerationPrompt: true, BOS: "<s>", EOS: "</s>",
	}
	want := map[string]string{
		"chatml":  "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n",
		"gemma":   "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n",
		"llama2":  "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Why? [/INST]",
		"llama3":  "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"mistral": "<s>[INST] Hi[/INST] Hello.</s>[INST] Be brief.\n\nWhy?[/INST]",
		"phi3":    "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nWhy?<|end|>\n<|assistant|>\n",
		"plain":   "Be brief.\nHi\nHello.\nWhy?\n",
		"vicuna":  "Be brief.\n\nUSER: Hi\nASSISTANT: Hello.</s>\nUSER: Why?\nASSISTANT:",
		"zephyr":  "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n<|user|>\nWhy?</s>\n<|assistant|>\n",
	}
	require.Len(t, Names(), len(want))
	for _, name := range Names() {
		template, err := Default(name)
		require.NoError(t, err, name)
		got, err := template.RenderMessages(c, Options{})
		require.NoError(t, err, name)
		assert.Equal(t, want[name], got, name)
	}
	_, err := Default("nosuch")
	requireKind(t, err, "TemplateNotFound", "expected one of chatml, gemma, llama2")
}

func TestDefaultsRefuse(t *testing.T) {
	template, err := Default("llama2")
	require.NoError(t, err)
	for _, roles := range [][]string{{"assistant"}, {"user", "user"}, {"user", "system"}} {
		c := &Conversation{}
		for _, role := range roles {
			c.Messages = append(c.Messages, Message{Role: role})
		}
		_, err := template.RenderMessages(c, Options{})
		_, raised := Raised(err)
		assert.True(t, raised, "%v: %v", roles, err)
	}
}

func TestConversationContext(t *testing.T) {
	extra := NewDict()
	extra.Set("enable_thinking", false)
	extra.Set("bos_token", "<bos>")
	c := &Conversation{
		Messages: []Message{
			{Role: "assistant", Content: "a", ReasoningContent: "r", ToolCalls: json.RawMessage(`[{"id": "1", "function": {"b": 1, "a": 2.0}}]`)},
			{Role: "tool", Content: "t", Name: "n", ToolCallID: "1"},
		},
		Tools: json.RawMessage(`[{"z": 1, "y": null}]`), BOS: "<s>", EOS: "</s>", Extra: extra,
	}
	template, err := Parse("{{ messages }}{{ tools }}{{ add_generation_prompt }}{{ bos_token }}{{ eos_token }}{{ enable_thinking }}")
	require.NoError(t, err)
	got, err := template.RenderMessages(c, Options{})
	require.NoError(t, err)
	assert.Equal(t, "[{'role': 'assistant', 'content': 'a', 'reasoning_content': 'r', 'tool_calls': [{'id': '1', 'function': {'b': 1, 'a': 2.0}}]}, "+
		"{'role': 'tool', 'content': 't', 'name': 'n', 'tool_call_id': '1'}][{'z': 1, 'y': None}]False<bos></s>False", got)
	c.Messages[0].ToolCalls = json.RawMessage(`[`)
	_, err = template.RenderMessages(c, Options{})
	requireKind(t, err, "ValueError", "message 0: ")
	c.Messages, c.Tools = nil, json.RawMessage(`{`)
	_, err = template.RenderMessages(c, Options{})
	requireKind(t, err, "ValueError", "tools: ")
}

func TestSource(t *testing.T) {
	source, err := os.ReadFile("defaults/chatml.jinja")
	require.NoError(t, err)
	template, err := Default("chatml")
	require.NoError(t, err)
	assert.Equal(t, string(source), template.Source())
}
