/** Where the mail of a run goes whose engine is in the harness's own process: a process of its own, with a ledger, that tells of every probe. */
import { openLedger, startReceiver } from '../../src/sandbox/sandbox.ts'
import { probeUser, receiverScript } from './receiver-script.ts'

export interface ReceiverTask {
  readonly ledger: string
  readonly seed: number
}

const [text] = process.argv.slice(2)
const tell = process.send?.bind(process)
if (text === undefined || tell === undefined) throw new Error('threads.ts starts this file, with its task')
const task = JSON.parse(text) as ReceiverTask
const receiver = await startReceiver(receiverScript(task.seed), {
  ledger: openLedger(task.ledger),
  rememberMax: 0,
  onMessage: ({ envelope }) => {
    const probe = envelope.to.find((rcpt) => rcpt.startsWith(probeUser))
    if (probe !== undefined) tell({ probe })
  },
})
tell({ port: receiver.port })
process.once('message', () => void receiver.close().then(() => process.disconnect?.()))
