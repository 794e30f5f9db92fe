/** Where the mail of a run goes whose engine is in the harness's own process: a process of its own, with a ledger, that tells of every probe and notice. */
import { openLedger, startReceiver } from '../../src/sandbox/sandbox.ts'
import { probeUser, receiverScript } from './receiver-script.ts'
import { readNotice } from './record.ts'
import type { ArrivedNotice } from './record-checker.ts'

export interface ReceiverTask {
  readonly ledger: string
  readonly seed: number
}

/** Beside its port, which it tells first. */
export interface ReceiverNews {
  readonly probe?: string
  readonly notice?: ArrivedNotice
}

const [text] = process.argv.slice(2)
const tell = process.send?.bind(process)
if (text === undefined || tell === undefined) throw new Error('threads.ts starts this file, with its task')
const task = JSON.parse(text) as ReceiverTask
const receiver = await startReceiver(receiverScript(task.seed), {
  ledger: openLedger(task.ledger),
  rememberMax: 0,
  onMessage: (message) => {
    const notice = readNotice(message)
    const probe = message.envelope.to.find((rcpt) => rcpt.startsWith(probeUser))
    if (notice !== null) tell({ notice } satisfies ReceiverNews)
    else if (probe !== undefined) tell({ probe } satisfies ReceiverNews)
  },
})
tell({ port: receiver.port })
process.once('message', () => void receiver.close().then(() => process.disconnect?.()))
