package chat

import "encoding/json"

// Message is one turn of a conversation, for callers that have no JSON at hand.
type Message struct {
	// Role is "system", "user", "assistant", "tool" or whatever else the template knows.
	Role string
	// Content is the turn's text.
	Content string
	// ReasoningContent is the thinking of an assistant's turn; empty: none.
	ReasoningContent string
	// Name is the name of the tool, or of the speaker; empty: none.
	Name string
	// ToolCallID names the call that a tool's turn answers; empty: none.
	ToolCallID string
	// ToolCalls are the calls of an assistant's turn: a JSON array of {"id", "type", "function"} objects; nil: none.
	ToolCalls json.RawMessage
}

// Conversation is what RenderMessages gives to a template.
type Conversation struct {
	Messages []Message
	// Tools is a JSON array of tool definitions; nil: none.
	Tools json.RawMessage
	// AddGenerationPrompt asks for the beginning of the assistant's next turn.
	AddGenerationPrompt bool
	// BOS and EOS are the texts of the tokens that templates print as bos_token and eos_token.
	BOS, EOS string
	// Extra holds more variables, for example enable_thinking; they win over the ones above. May be nil.
	Extra *Dict
}

// Context builds the context of a conversation: messages, tools, add_generation_prompt, bos_token and eos_token.
func (c *Conversation) Context() (*Dict, error) {
	messages := NewList()
	for i := range c.Messages {
		m, err := c.Messages[i].dict()
		if err != nil {
			return nil, newError("ValueError", "message %d: %v", i, err)
		}
		messages.Items = append(messages.Items, m)
	}
	ctx := NewDict()
	ctx.Set("messages", messages)
	if c.Tools != nil {
		tools, err := decodeJSON(c.Tools)
		if err != nil {
			return nil, newError("ValueError", "tools: %v", err)
		}
		ctx.Set("tools", tools)
	}
	ctx.Set("add_generation_prompt", c.AddGenerationPrompt)
	ctx.Set("bos_token", c.BOS)
	ctx.Set("eos_token", c.EOS)
	if c.Extra != nil {
		_ = c.Extra.each(func(key, value Value) error {
			name, _ := text(key)
			ctx.Set(name, value)
			return nil
		})
	}
	return ctx, nil
}

func (m *Message) dict() (*Dict, error) {
	d := NewDict()
	d.Set("role", m.Role)
	d.Set("content", m.Content)
	for _, field := range []struct{ key, value string }{
		{"reasoning_content", m.ReasoningContent}, {"name", m.Name}, {"tool_call_id", m.ToolCallID},
	} {
		if field.value != "" {
			d.Set(field.key, field.value)
		}
	}
	if m.ToolCalls != nil {
		calls, err := decodeJSON(m.ToolCalls)
		if err != nil {
			return nil, newError("ValueError", "tool calls: %v", err)
		}
		d.Set("tool_calls", calls)
	}
	return d, nil
}

// RenderMessages renders a conversation.
func (t *Template) RenderMessages(c *Conversation, o Options) (string, error) {
	ctx, err := c.Context()
	if err != nil {
		return "", err
	}
	return t.Render(ctx, o)
}
