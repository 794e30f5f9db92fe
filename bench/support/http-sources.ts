/** Sources that load an HTTP server, as processes. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SourceJob, SourceReport } from './http-source.ts'

const program = fileURLToPath(new URL('http-source.ts', import.meta.url))
/** Beyond the load: until the process runs, and until the last answers are in. */
const beyondMsMax = 60_000

async function runHttpSource(job: SourceJob): Promise<SourceReport> {
  const source = fork(program, { serialization: 'advanced' })
  const ended = once(source, 'exit')
  const report = new Promise<SourceReport>((resolve, reject) => {
    source.once('message', (message) => resolve(message as SourceReport))
    source.once('error', reject)
    source.once('exit', (code) => reject(new Error(`the source ended with ${code} before it reported`)))
  })
  const killer = setTimeout(() => source.kill('SIGKILL'), job.sends.seconds * 1_000 + beyondMsMax)
  try {
    source.send(job)
    const result = await report
    await ended
    return result
  } finally {
    clearTimeout(killer)
    source.kill('SIGKILL')
  }
}

/** Gives a job to a source process and reads its report; rejects when a send was not answered with 202. */
export async function sendAll(job: SourceJob): Promise<SourceReport> {
  const report = await runHttpSource(job)
  const { requests, statuses, lost, unanswered } = report.sends
  const accepted = statuses['202'] ?? 0
  if (accepted !== requests || lost + unanswered > 0)
    throw new Error(
      `${accepted} of ${requests} requests were answered 202, ${lost} lost, ${unanswered} not answered: ${report.refusal}`,
    )
  return report
}
