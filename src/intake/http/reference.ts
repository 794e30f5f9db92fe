/** A page to read the API by. */
import type { HttpServer } from './server.ts'

export const referencePolicy = "default-src 'none'"

export function referencePage({ version }: HttpServer): string {
  return `<!doctype html><title>Posthaste ${version}</title>`
}
