/** Why a message cannot be written, where the reason lies, and what cures it; and the checks that every field shares. */
import { PosthasteError } from '../../kernel/errors.ts'

export type MimeProblemCode =
  | 'control_character'
  | 'address_invalid'
  | 'header_name_invalid'
  | 'header_reserved'
  | 'header_repeated'
  | 'header_not_ascii'
  | 'header_line_too_long'
  | 'content_type_invalid'
  | 'content_id_invalid'
  | 'message_id_invalid'
  | 'calendar_method_invalid'

export class MimeProblem extends PosthasteError {
  override readonly name = 'MimeProblem'
  declare readonly code: MimeProblemCode
  /** RFC 6901, with the names that fields have on the wire: `/headers/3/value`, `/reply_to/0/name`. */
  readonly pointer: string

  constructor(code: MimeProblemCode, pointer: string, problem: string, cure: string) {
    super(code, `${pointer}: ${problem}`, cure)
    this.pointer = pointer
  }
}

/** Either of these could end the line, and with it the field; NUL ends it for whoever reads with C strings (RFC 5322 §4). */
const lineBreaking = /[\r\n\0]/

/** For whatever becomes part of a header. */
export function refuseLineBreaks(value: string, pointer: string): void {
  const at = value.search(lineBreaking)
  if (at < 0) return
  const which = value[at] === '\r' ? 'a carriage return' : value[at] === '\n' ? 'a line feed' : 'a NUL'
  throw new MimeProblem(
    'control_character',
    pointer,
    `has ${which} at position ${at}, which a header cannot hold`,
    'Send it as one line: replace line breaks with spaces. Long values are folded for you.',
  )
}
