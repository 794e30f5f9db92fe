/** A schema as a check that says what is wrong in words for people, each with its place. */
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'
import { httpFailures } from '../../model/failures.ts'
import { explain, type Finding, type SchemaError } from './complaints.ts'
import { schemaErrorsMax } from './limits.ts'
import { Problem } from './problem.ts'

/** Throws a Problem when the value is not of the schema. */
export type Check<S extends TSchema> = (value: unknown) => asserts value is Static<S>

/** Compiles it: once, at the start. */
export function checkOf<S extends TSchema>(schema: S): Check<S> {
  const validator = Compile(schema)
  return (value) => {
    if (!validator.Check(value))
      throw problemOf(
        explain(
          errorsOf(() => validator.Errors(value)),
          { schema, value },
        ),
      )
  }
}

/** The engine stops at eight, and one wrong address gives four: the place that matters would be missing. */
function errorsOf(ask: () => readonly SchemaError[]): readonly SchemaError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: schemaErrorsMax.value })
  try {
    return ask()
  } finally {
    Settings.Set({ maxErrors })
  }
}

function problemOf(findings: readonly Finding[]): Problem {
  const [first] = findings
  if (first === undefined) return new Problem(httpFailures.fieldInvalid)
  const { code: _, ...details } = first.item
  if (findings.length === 1) return new Problem(first.failure, details)
  return new Problem(httpFailures.severalProblems, { errors: findings.map(({ item }) => item) })
}
