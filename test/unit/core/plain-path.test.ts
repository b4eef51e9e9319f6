import { describe, expect, it } from "vitest";
import { loosePath, plainPath } from "../../../services/core/plain-path.ts";

describe("plainPath", () => {
  it.each([
    ["/", "/"],
    ["/a/b.json?x=//..;", "/a/b.json"],
    ["/a/", "/a/"],
    ["/.well-known/x", "/.well-known/x"],
    ["/users/a%40b.example", "/users/a@b.example"],
    ["/a%20b/%C3%BC", "/a b/ü"],
    ["/a%2Bb", "/a+b"],
  ])("reads %s", (target, path) => {
    expect(plainPath(target)).toBe(path);
  });

  it.each([
    ...["", "admin", "*", "http://x/admin", "//admin", "/a//b", "/./admin", "/a/../admin", "/a/..", "/a/."],
    ...["/%2e%2e/admin", "/a/%2E/admin", "/%2fadmin", "/a%2Fadmin", "/a%5Cadmin", "/a\\admin", "/..;/admin"],
    ...["/admin;x", "/admin%3bx", "/%61dmin", "/admi%6E", "/admin%00", "/admin%0a", "/admin%7f", "/%252e%252e/a"],
    ...["/admin%3Fx", "/admin%23x", "/admin#x", "/admin?x#y", "/admin x", "/admin\t", "/ädmin", "/%C3", "/%C0%AF"],
    ...["/a%", "/a%2", "/a%zz", "/admin.", "/admin%20", "/a%20/b", "/...", "/%C2%85", "/a|b", "/a<b", '/a"b', "/[a]"],
    // Full-width full stop, solidus, reverse solidus, semicolon and percent sign.
    ...["/%EF%BC%8E%EF%BC%8E/admin", "/a%EF%BC%8Fadmin/%EF%BC%8E", "/a%EF%BC%BCb", "/a%EF%BC%9Bb", "/a%EF%BC%852e"],
  ])("refuses %j", (target) => {
    expect(plainPath(target)).toBeUndefined();
  });
});

it("loosePath leaves nothing of case, width and a last slash", () => {
  const forms = ["/admin", "/Admin", "/ADMIN/", "/ＡＤＭＩＮ", "/adm\u0131n", "/admin/"];
  expect(new Set(forms.map(loosePath))).toEqual(new Set(["/admin"]));
  expect(loosePath("/")).toBe("/");
});
