import { PosthasteError } from '../kernel/errors.ts'

/** The configuration file says what cannot be. */
export function configError(code: string, message: string, cure: string): PosthasteError {
  return new PosthasteError(code, message, cure, { exitCode: 78 })
}
