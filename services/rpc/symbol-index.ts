import type { DescEnum, DescExtension, DescFile, DescMessage } from "@bufbuild/protobuf";

/** Where each name of a set of proto files is declared. */
export interface SymbolIndex {
  /** By path, as `ichor/v1/admin_service.proto`. */
  readonly files: ReadonlyMap<string, DescFile>;
  /** By full name, without a leading dot: messages, fields, oneofs, enums, their values, services, methods, extensions. */
  readonly symbols: ReadonlyMap<string, DescFile>;
  /** By full name of the extended message, then by field number. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, DescFile>>;
}

/** Indexes the files with all that they import. */
export function indexSymbols(roots: readonly DescFile[]): SymbolIndex {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of roots) addFile(file);
  return { files, symbols, extensions };

  function addFile(file: DescFile): void {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    for (const message of file.messages) addMessage(message);
    for (const each of file.enums) addEnum(each, file.proto.package);
    for (const extension of file.extensions) addExtension(extension);
    for (const service of file.services) {
      symbols.set(service.typeName, file);
      for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const imported of file.dependencies) addFile(imported);
  }

  function addMessage(message: DescMessage): void {
    const { typeName, file } = message;
    symbols.set(typeName, file);
    for (const { name } of [...message.fields, ...message.oneofs]) symbols.set(`${typeName}.${name}`, file);
    for (const each of message.nestedEnums) addEnum(each, typeName);
    for (const nested of message.nestedMessages) addMessage(nested);
    for (const extension of message.nestedExtensions) addExtension(extension);
  }

  /** Values are siblings of their enum, not members. */
  function addEnum(each: DescEnum, scope: string): void {
    symbols.set(each.typeName, each.file);
    for (const { name } of each.values) symbols.set(scope === "" ? name : `${scope}.${name}`, each.file);
  }

  function addExtension(extension: DescExtension): void {
    symbols.set(extension.typeName, extension.file);
    const ofMessage = extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
    extensions.set(extension.extendee.typeName, ofMessage.set(extension.number, extension.file));
  }
}
