import { cpus, loadavg, release, totalmem } from "node:os";

/** What a reader must know to judge the ratios: they were taken on this machine, under this load. */
export function machineFacts() {
  const [{ model }] = cpus();
  return {
    cpu: `${cpus().length} × ${model.trim()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    openssl: process.versions.openssl,
    loadAverage: loadavg()[0].toFixed(1),
  };
}
