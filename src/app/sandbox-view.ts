/** Captured mail, as the admin API shows it. */
import type { SandboxStoreView, SandboxSummary } from '../admin/admin.ts'
import type { CapturedSummary, CaptureSink } from '../sandbox/sandbox.ts'

export function sandboxView(sink: CaptureSink): SandboxStoreView {
  return {
    async list({ limit, before, to }) {
      // One more than asked for tells whether there is a next page.
      const found = sink.list({
        limit: limit + 1,
        ...(before !== null && { before: Number(before) }),
        ...(to !== null && { to }),
      })
      const messages = found.slice(0, limit).map(summary)
      return { messages, next: found.length > limit ? (messages.at(-1)?.id ?? null) : null }
    },
    async message(id) {
      const message = sink.show(Number(id))
      if (message === null) return null
      return { ...summary(message), headers: message.headers, text: message.text }
    },
    raw: async (id) => sink.raw(Number(id)),
  }
}

const summary = ({ id, receivedMs, from, to, subject, sizeBytes }: CapturedSummary): SandboxSummary => ({
  id: String(id),
  receivedAt: new Date(receivedMs).toISOString(),
  from,
  to,
  subject,
  sizeBytes,
})
