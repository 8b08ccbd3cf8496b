// Log task runs as {operation}_{phase} with the three ids on every record. Copy this file into your project.
//
// In a Trigger.dev task, whose logger is already connected (see trigger-dev.md):
//
//   const log = taskLog(logger, { correlation_id: `doc-${payload.id}`, request_id: payload.requestId, run_id: ctx.run.id });
//   await log.operation("document_process", async (step) => {
//     step.calling("storage");
//     const size = await upload(payload);
//     step.done({ size_bytes: size });   // keys for document_process_completed
//   });
//
// Anywhere else, over a plain OpenTelemetry logger: taskLog(otelSink(logs.getLogger("tasks")), { … }).

export type Value = string | number | boolean;
export type Fields = Record<string, Value>;
export type Ids = { correlation_id: string; request_id: string; run_id: string } & Fields;

/** What records are written to: Trigger.dev's logger, or what otelSink returns. */
export interface Sink {
  info(message: string, fields: Fields): unknown;
  error(message: string, fields: Fields): unknown;
}

export interface Step {
  validating(fields?: Fields): void;
  /** Say that a service, named in snake_case, is being called. */
  calling(service: string, fields?: Fields): void;
  /** Add fields to the record of completion. */
  done(fields: Fields): void;
  /** Say that there was nothing to do: the operation ends as _skipped, and counts in no rate or duration. */
  skipped(fields?: Fields): void;
  /** Say that somebody called it off: the operation ends as _canceled, and counts as no failure. */
  canceled(fields?: Fields): void;
  /** Say that the worker lets go and the same attempt will go on: the operation ends as _interrupted. */
  interrupted(fields?: Fields): void;
  /** Say that this attempt failed and another will follow: the operation ends as _retrying. */
  retrying(fields?: Fields): void;
}

export function taskLog(sink: Sink, ids: Ids) {
  return {
    /** Log _started, then _completed with its time or _failed with the error, which is thrown on.
     *  Where the step says that it ended otherwise, that is logged instead. */
    async operation<T>(name: string, work: (step: Step) => Promise<T>, fields: Fields = {}): Promise<T> {
      const results: Fields = {};
      let ending = "";
      const began = performance.now();
      const took = () => ({ processing_time_ms: Math.round((performance.now() - began) * 1000) / 1000 });
      sink.info(`${name}_started`, { ...ids, ...fields });
      const end = (word: string) => (more: Fields = {}) => {
        ending = word;
        Object.assign(results, more);
      };
      const step: Step = {
        validating: (more = {}) => void sink.info(`${name}_validating`, { ...ids, ...more }),
        calling: (service, more = {}) => void sink.info(`${name}_calling_${service}`, { ...ids, ...more }),
        done: (more) => void Object.assign(results, more),
        skipped: end("skipped"),
        canceled: end("canceled"),
        interrupted: end("interrupted"),
        retrying: end("retrying"),
      };
      try {
        const result = await work(step);
        sink.info(`${name}_${ending || "completed"}`, { ...ids, ...took(), ...results });
        return result;
      } catch (error) {
        const known = error instanceof Error ? error : new Error(String(error));
        const told = { ...ids, ...took(), error_type: known.name, error_message: known.message };
        if (ending) sink.info(`${name}_${ending}`, { ...told, ...results });
        else sink.error(`${name}_failed`, told);
        throw error;
      }
    },
  };
}

/** The part of @opentelemetry/api-logs that otelSink needs. */
interface OtelLogger {
  emit(record: { severityNumber: number; severityText: string; body: string; attributes: Fields }): void;
}

export function otelSink(logger: OtelLogger): Sink {
  return {
    info: (body, attributes) => logger.emit({ severityNumber: 9, severityText: "INFO", body, attributes }),
    error: (body, attributes) => logger.emit({ severityNumber: 17, severityText: "ERROR", body, attributes }),
  };
}
