// Official exporters as clients, every combination of wire, compression, processor and signal in one process.
// node clients.mjs '{"http": URL, "grpc": URL, "mode": "run" | "steady", "story": NAME, "everyMs": N, "bytes": N}'
// run: each client tells of one run named by its label, and says when it has flushed.
// steady: each client emits until stdin ends, then says what it believes was delivered and what was not.
import { SpanKind } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const options = JSON.parse(process.argv[2]);
const resource = resourceFromAttributes({ "service.name": "js-worker", "service.version": "1.0.0" });

async function client(kind, compression, processor, signal) {
  const label = `js-${kind}-${compression}-${processor}-${signal}`;
  const module = await import(`@opentelemetry/exporter-${signal === "logs" ? "logs" : "trace"}-otlp-${kind}`);
  const Exporter = signal === "logs" ? module.OTLPLogExporter : module.OTLPTraceExporter;
  const url = kind === "grpc" ? options.grpc : `${options.http}/v1/${signal}`;
  const inner = new Exporter({ url, compression });
  const told = { delivered: [], failed: [] };
  const exporter = {
    export(items, done) {
      const ids = items.map((item) => item.attributes["client.id"]);
      inner.export(items, (result) => {
        told[result.code === 0 ? "delivered" : "failed"].push(...ids);
        done(result);
      });
    },
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => inner.shutdown(),
  };
  const batch = { exporter, scheduledDelayMillis: 300 };
  if (signal === "logs") {
    const processors = [
      processor === "batch" ? new BatchLogRecordProcessor(batch) : new SimpleLogRecordProcessor({ exporter }),
    ];
    const provider = new LoggerProvider({ resource, processors });
    const logger = provider.getLogger("tasks");
    const emit = (body, attributes) =>
      logger.emit({ severityNumber: 9, severityText: "INFO", body, attributes });
    return { label, provider, told, emit };
  }
  const spanProcessors = [processor === "batch" ? new BatchSpanProcessor(batch) : new SimpleSpanProcessor({ exporter })];
  const provider = new TracerProvider({ resource, spanProcessors });
  const tracer = provider.getTracer("tasks");
  const emit = (name, attributes) => tracer.startSpan(name, { kind: SpanKind.CONSUMER, attributes }).end();
  return { label, provider, told, emit };
}

const clients = [];
for (const kind of ["http", "proto", "grpc"])
  for (const compression of ["none", "gzip"])
    for (const processor of ["batch", "simple"])
      for (const signal of ["logs", "traces"]) clients.push(await client(kind, compression, processor, signal));

if (options.mode === "run") {
  for (const { label, provider, emit } of clients) {
    const ids = { correlation_id: "doc-1", request_id: "req-1", run_id: label, task_id: "js-task", queue: "js" };
    const bodies = label.endsWith("logs")
      ? ["document_process_started", "document_process_calling_storage", "document_process_completed"]
      : ["document_process"];
    for (const body of bodies) emit(body, { ...ids, attempt: 1 });
    await provider.forceFlush();
    console.log(JSON.stringify({ label, flushed_ms: Date.now() }));
  }
} else {
  let count = 0;
  const timer = setInterval(() => {
    count += 1;
    for (const { label, emit } of clients) emit("x".repeat(options.bytes), { "client.id": `${options.story}/${label}/${count}` });
  }, options.everyMs);
  console.log(JSON.stringify({ started: true }));
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
  clearInterval(timer);
}
await Promise.all(clients.map(({ provider }) => provider.forceFlush().catch(() => {})));
await Promise.all(clients.map(({ provider }) => provider.shutdown().catch(() => {})));
const result = options.mode === "run" ? {} : Object.fromEntries(clients.map(({ label, told }) => [label, told]));
// A pipe takes 64 KiB at once: end only when all of it is written.
process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
