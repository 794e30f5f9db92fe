/** A receiver script from a file, YAML or JSON (which is YAML too). */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { PosthasteError } from '../../kernel/errors.ts'
import { checkScript } from './check-script.ts'
import type { ReceiverScript } from './script.ts'

export function loadScript(path: string): ReceiverScript {
  let value: unknown
  try {
    value = parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.trimEnd() : String(cause)
    throw new PosthasteError(
      'unreadable_receiver_script',
      `cannot read the script ${path}: ${reason}`,
      'Name a file that can be read and holds YAML or JSON.',
      { exitCode: 78, cause },
    )
  }
  return checkScript(value ?? {}, path)
}
