import Glibc

/// A file with one password in it, which not everybody may read.
enum PasswordFile {
    /// RFC 4616 section 2 allows 255 octets for a name; what is longer than this is not a password.
    private static let limit = 1_024

    /// - Parameter field: its path; a relative one is taken from the folder of the file that names it.
    /// - Returns: its first line; nil when it cannot be used, and the field's problems say why, without what it holds.
    static func read(_ field: Field) -> String? {
        guard let name = field.string("the path of a file with the password") else { return nil }
        let folder = field.file.lastIndex(of: "/").map { field.file[...$0] } ?? ""
        let path = name.hasPrefix("/") ? name : folder + name
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            field.complain("\(path) cannot be read: \(String(cString: strerror(errno)))")
            return nil
        }
        defer { _ = Glibc.close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            field.complain("\(path) is not a file")
            return nil
        }
        guard facts.st_mode & 0o007 == 0 else {
            field.complain("\(path) can be read by everybody on this machine; chmod o= \(path)")
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else {
            field.complain("\(path) cannot be read: \(String(cString: strerror(errno)))")
            return nil
        }
        let line = bytes.prefix(count).prefix { $0 != 10 && $0 != 13 }
        guard !line.isEmpty, line.count <= limit, !line.contains(0), let text = String(validating: line, as: UTF8.self)
        else {
            field.complain("\(path) must hold the password in its first line: UTF-8, at most \(limit) octets")
            return nil
        }
        return text
    }
}
