/**
 * Configuration: one YAML file, checked against its schema, frozen, handed to everyone.
 *
 *   in   a file (or none: the built-in sandbox), the environment, flags
 *   out  Config (compiled.ts), warnings, and every option in force with where it came from
 *
 * Always true:
 *   1. A Config that was handed out is sound: whoever uses it checks nothing again.
 *   2. All problems are told at once, each with file, line, column, key and cure; the exit code is 78.
 *   3. Secrets come from files that not everyone can read, or from the environment, and are never shown.
 *
 *   file ─ source.ts ─ read.ts (walks schema.ts) ─ compile.ts (opens secrets, checks parts together) ─ Config
 */
export { adminTokenPath, ensureAdminToken, needsAdminToken, readAdminToken } from './admin-token.ts'
export { isLoopbackAddress } from './compile.ts'
export type { Config } from './compiled.ts'
export { configuredLimits } from './configured-limits.ts'
export * as configLimits from './limits.ts'
export {
  findConfigFile,
  loadConfig,
  locateEngine,
  sandboxConfig,
  type ConfigOverrides,
  type EngineLocation,
  type Environment,
  type LoadedConfig,
  type LoadOptions,
} from './load.ts'
export { ConfigError, type Place, type Problem } from './problems.ts'
export type { EffectiveValue } from './read.ts'
export { configurationReference, jsonSchema } from './reference.ts'
