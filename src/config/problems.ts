/** What is wrong with a configuration: every problem with its place, its key and its cure, all of them at once. */
import { PosthasteError } from '../kernel/errors.ts'

export interface Place {
  /** Both count from 1. */
  readonly line: number
  readonly column: number
}

export interface Problem {
  readonly file: string | null
  /** Null when it has no place in a file: a flag, the environment, or the file itself. */
  readonly place: Place | null
  /** "smtp.listeners[0].port"; '' is the whole file. */
  readonly key: string
  readonly what: string
  readonly cure: string
}

/** Exit code 78, EX_CONFIG of sysexits.h: a supervisor must not try again with the same file. */
export class ConfigError extends PosthasteError {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const file = problems[0]?.file ?? null
    const count = problems.length === 1 ? 'an error' : `${problems.length} errors`
    const lines = problems.map((problem) => `  ${describeProblem(problem)}\n      ${problem.cure}`)
    super(
      'config_invalid',
      `${file ?? 'the configuration'} has ${count}:\n${lines.join('\n')}`,
      'Nothing was started. `posthaste config check` looks again without starting anything.',
      { exitCode: 78 },
    )
    this.problems = problems
  }
}

/** "file:line:column: key: what", as editors and terminals like it. */
function describeProblem(problem: Omit<Problem, 'cure'>): string {
  return describeAt(problem.file, problem.place, problem.key, problem.what)
}

export function describeAt(file: string | null, place: Place | null, key: string, what: string): string {
  const where = place === null ? file : `${file}:${place.line}:${place.column}`
  return [where, key === '' ? null : key, what].filter((part) => part !== null).join(': ')
}
