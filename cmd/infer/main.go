// Command infer runs large language models from GGUF files.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:])) }
