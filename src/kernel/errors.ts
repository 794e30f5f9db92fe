/**
 * The base of every failure that is not our bug. It says what happened, what cures it, and how to leave the process when
 * nobody can handle it (exit codes of sysexits.h: 64 usage, 69 unavailable, 70 software, 73 cannot create, 74 I/O, 78 config).
 */
export class PosthasteError extends Error {
  override readonly name: string = 'PosthasteError'
  readonly code: string
  /** One sentence: what the reader should do now. */
  readonly cure: string
  readonly exitCode: number

  constructor(code: string, message: string, cure: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.cure = cure
    this.exitCode = options.exitCode ?? 70
  }
}
