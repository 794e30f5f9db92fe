/**
 * Verbs on a running engine: HTTP for machines (http/), a command line for people (cli/, with a front file of its own:
 * it must start at once, so it loads nothing of the server).
 *
 *   in   an EngineView (view.ts), filled by the engine; requests on the management listener
 *   out  JSON in snake_case, metrics in the text format of Prometheus, errors as problem details (RFC 9457)
 *
 * Always true:
 *   1. Nothing is answered to a foreign Host or Origin, on loopback too.
 *   2. Without the token only /healthz and /readyz answer; the sandbox on loopback has no token.
 *   3. The command line never opens the engine's files while it could ask the engine.
 */
export { createDirectoryView, type DirectoryViewOptions } from './directory-view.ts'
export { createAdminServer, type AdminServer, type AdminServerOptions } from './http/server.ts'
export * as adminLimits from './limits.ts'
export { credentialLines } from './sandbox-lines.ts'
export type { LimitTable, LimitTotal } from './limit-table.ts'
export type {
  AttemptView,
  DirectoryView,
  DomainReport,
  EngineStatus,
  RecordStatus,
  EngineView,
  LogStatus,
  MessageView,
  MetricSample,
  RecipientView,
  SandboxCredentials,
  SandboxMessage,
  SandboxPage,
  SandboxQuery,
  SandboxStoreView,
  SandboxSummary,
  SiteStatus,
  ThreadStatus,
} from './view.ts'
