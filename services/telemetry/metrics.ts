import type { BatchObservableCallback, Histogram, Meter, MeterProvider, Observable } from "@opentelemetry/api";
import { getOrMake } from "../core/get-or-make.ts";
import { type AttributesOf, type InstrumentName, type InstrumentSpec, instruments } from "./instruments.ts";

/** The name under which Ichor's spans and metrics stand. */
export const scopeName = "ichor";

/** One value of a counter: a field that is added to, and read when somebody collects. */
export class Count {
  value = 0;
}

/** Reads a value when it is collected; undefined: there is none now. */
export type Read = () => number | undefined;

interface Observed {
  readonly instrument: Observable;
  readonly readings: Reading[];
}

interface Reading {
  readonly attributes: Readonly<Record<string, string>>;
  readonly read: Read;
}

/**
 * Puts the instruments of the list on a provider of OpenTelemetry's API. Without one only the counting is left, and nothing
 * of that library is loaded. Counters and gauges are read when they are collected: what happens often adds 1 to a field, while a
 * library's counter looks its attributes up each time (1.2 µs). Only distributions are told one by one.
 */
export class Metrics {
  readonly #meter: Meter | undefined;
  readonly #observed = new Map<string, Observed>();
  readonly #collect: BatchObservableCallback = (result) => {
    for (const { instrument, readings } of this.#observed.values()) {
      for (const { attributes, read } of readings) {
        const value = read();
        if (value !== undefined) result.observe(instrument, value, attributes);
      }
    }
  };
  #told: Observable[] = [];

  constructor(provider: MeterProvider | undefined) {
    this.#meter = provider?.getMeter(scopeName);
  }

  /** A new count under these attributes; counts of the same attributes must not be made twice. */
  count<N extends InstrumentName<"counter">>(name: N, attributes: AttributesOf<N>): Count {
    const count = new Count();
    this.observe(name, attributes, () => count.value);
    return count;
  }

  /**
   * Counts of an instrument with one or two attributes, by their values in the list's order; each is made when it is
   * first met, so the values must be few.
   */
  counts(name: InstrumentName<"counter">): (first: string, second?: string) => Count {
    const [firstName = "", secondName] = instruments[name].attributes as readonly string[];
    const made = new Map<string, Map<string, Count>>();
    return (first, second = "") => {
      const ofFirst = getOrMake(made, first, () => new Map<string, Count>());
      return getOrMake(ofFirst, second, () => {
        const attributes = { [firstName]: first, ...(secondName !== undefined && { [secondName]: second }) };
        return this.count(name, attributes as AttributesOf<typeof name>);
      });
    };
  }

  /** A counter or gauge whose value somebody else keeps. */
  observe<N extends InstrumentName<"counter" | "gauge">>(name: N, attributes: AttributesOf<N>, read: Read): void {
    const meter = this.#meter;
    if (meter === undefined) return;
    const observed = getOrMake(this.#observed, name, () => ({ instrument: observableOf(meter, name), readings: [] }));
    if (observed.readings.length === 0) this.#listen(meter);
    observed.readings.push({ attributes: Object.freeze({ ...attributes }), read });
  }

  /** A distribution; give `record` frozen attributes that are made once. undefined: nobody wants to know. */
  histogram<N extends InstrumentName<"histogram">>(name: N): Histogram<AttributesOf<N>> | undefined {
    const { unit, help, buckets }: InstrumentSpec = instruments[name];
    return this.#meter?.createHistogram(name, {
      unit,
      description: help,
      advice: { explicitBucketBoundaries: [...(buckets ?? [])] },
    });
  }

  /** Ends what is read: the provider may go on. */
  close(): void {
    this.#meter?.removeBatchObservableCallback(this.#collect, this.#told);
    this.#told = [];
    this.#observed.clear();
  }

  /** Registers the reading of all, again after each instrument: a callback may tell only those that it was registered with. */
  #listen(meter: Meter): void {
    meter.removeBatchObservableCallback(this.#collect, this.#told);
    this.#told = [...this.#observed.values()].map(({ instrument }) => instrument);
    meter.addBatchObservableCallback(this.#collect, this.#told);
  }
}

function observableOf(meter: Meter, name: InstrumentName<"counter" | "gauge">): Observable {
  const { kind, unit, help }: InstrumentSpec = instruments[name];
  const options = { unit, description: help };
  return kind === "counter" ? meter.createObservableCounter(name, options) : meter.createObservableGauge(name, options);
}
