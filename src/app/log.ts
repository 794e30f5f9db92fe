/** Structured logs: JSON lines on standard error, through pino. Rare events only; what happens to mail goes to the outcome log. */
import { pino, type Logger } from 'pino'
import type { LogConfig } from '../config/compiled.ts'
import { systemClock } from '../kernel/clock.ts'
import { LogSink } from './log-sink.ts'

export type Log = Logger

const stderr = 2

export function openLog(config: LogConfig): Log {
  const sink = new LogSink(stderr, systemClock)
  process.once('exit', () => sink.end())
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    sink,
  )
}
