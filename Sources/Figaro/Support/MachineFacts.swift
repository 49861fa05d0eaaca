import Delivery
import Foundation
import Glibc
import Mail

/// What a support bundle says of the machine.
enum MachineFacts {
    private static let files = [
        "/proc/version", "/etc/os-release", "/etc/debian_version", "/proc/loadavg", "/proc/meminfo", "/proc/uptime",
        "/proc/pressure/io", "/proc/pressure/cpu", "/proc/pressure/memory",
    ]
    /// What the guides and the kernel's networking say about a relay with many connections.
    private static let settings = [
        "net/ipv4/ip_local_port_range", "net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog",
        "net/ipv4/tcp_slow_start_after_idle", "net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind",
        "net/ipv4/tcp_tw_reuse", "net/ipv4/tcp_fin_timeout", "net/core/rmem_max", "net/core/wmem_max", "fs/file-max",
        "fs/file-nr", "vm/dirty_ratio", "vm/dirty_background_ratio", "vm/swappiness", "vm/overcommit_memory",
    ]

    static func text(spool: String) -> String {
        var text = "processors: \(sysconf(Int32(_SC_NPROCESSORS_ONLN)))\n"
        for file in files { text += "\n== \(file)\n" + read(file) }
        text += "\n== sysctl\n"
        for name in settings {
            let value = read("/proc/sys/\(name)").split(separator: "\n").first.map(String.init) ?? "not there"
            text += "\(name.split(separator: "/").joined(separator: ".")) = \(value)\n"
        }
        text += "\n== disk of \(spool)\n" + disk(spool)
        let addresses = LocalAddresses.all().map(\.description).sorted()
        text += "\n== addresses\n" + addresses.joined(separator: "\n") + "\n"
        return text
    }

    /// 64 KB at most.
    private static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "not there\n" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func disk(_ spool: String) -> String {
        var status = statvfs()
        guard statvfs(spool, &status) == 0 else { return "\(String(cString: strerror(errno)))\n" }
        let block = UInt64(status.f_frsize)
        func megabytes(_ blocks: UInt64) -> UInt64 { blocks.multipliedReportingOverflow(by: block).partialValue >> 20 }
        var text = "\(megabytes(UInt64(status.f_blocks))) MB, \(megabytes(UInt64(status.f_bavail))) MB free, "
        text += "\(status.f_files) inodes, \(status.f_favail) free\n"
        // The mount whose path is the longest that the spool lies below.
        let mounts = read("/proc/mounts").split(separator: "\n").map { $0.split(separator: " ") }
        let found = mounts.filter { $0.count > 3 && (spool + "/").hasPrefix($0[1] == "/" ? "/" : $0[1] + "/") }
            .max { $0[1].count < $1[1].count }
        if let found { text += "\(found[0]) \(found[1]) \(found[2]) \(found[3])\n" }
        for name in ["queue.sqlite", "queue.sqlite-wal", "history.sqlite", "history.sqlite-wal"] {
            var file = stat()
            if stat("\(spool)/\(name)", &file) == 0 { text += "\(name): \(file.st_size) octets\n" }
        }
        return text
    }
}
