/** Structured logs: JSON lines on standard error, through pino. Rare events only; what happens to mail goes to the outcome log. */
import { pino, type Logger } from 'pino'
import type { LogConfig } from '../config/compiled.ts'

export type Log = Logger

export function openLog(config: LogConfig): Log {
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    pino.destination({ dest: 2, sync: false }),
  )
}
