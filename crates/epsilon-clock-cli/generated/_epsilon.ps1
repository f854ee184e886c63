
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'epsilon' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'epsilon'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'epsilon' {
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'print the version (also -V)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('now', 'now', [CompletionResultType]::ParameterValue, 'print an interval that contains UTC now, and what its width is made of')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'tell on one page how good this machine''s clock is, and what would better it')
            [CompletionResult]::new('watch', 'watch', [CompletionResultType]::ParameterValue, 'show the interval, epsilon over time and each source''s state, live')
            [CompletionResult]::new('sources', 'sources', [CompletionResultType]::ParameterValue, 'print what each source says by itself: its interval, or why it gives none')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'serve the clock over HTTP: a page, /metrics for Prometheus, /json and /healthz')
            [CompletionResult]::new('compare', 'compare', [CompletionResultType]::ParameterValue, 'say which of two intervals or stamps is surely first, and by how much')
            [CompletionResult]::new('hlc', 'hlc', [CompletionResultType]::ParameterValue, 'read stamps of hybrid logical clocks')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'print a script that completes the command''s arguments in a shell')
            [CompletionResult]::new('manual', 'manual', [CompletionResultType]::ParameterValue, 'print a page of the manual as man reads it: epsilon manual now | man -l -')
            break
        }
        'epsilon;now' {
            [CompletionResult]::new('--assume-error', '--assume-error', [CompletionResultType]::ParameterName, 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)')
            [CompletionResult]::new('--max-drift-ppm', '--max-drift-ppm', [CompletionResultType]::ParameterName, 'how far the oscillator may run off, in parts per million [200]')
            [CompletionResult]::new('--source', '--source', [CompletionResultType]::ParameterName, 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]')
            [CompletionResult]::new('--ntp', '--ntp', [CompletionResultType]::ParameterName, 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named')
            [CompletionResult]::new('--nts', '--nts', [CompletionResultType]::ParameterName, 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)')
            [CompletionResult]::new('--nts-roots', '--nts-roots', [CompletionResultType]::ParameterName, 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'repeat each second, on one line')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'print one JSON object (with --watch, one a second)')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'exit with 2 where there is no interval')
            [CompletionResult]::new('--accept-unsync-flag', '--accept-unsync-flag', [CompletionResultType]::ParameterName, 'believe a bound that the kernel flags as unsynchronised')
            [CompletionResult]::new('--accept-local', '--accept-local', [CompletionResultType]::ParameterName, 'believe NTP servers that serve their own clock')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;doctor' {
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'how long to watch the clock, up to an hour [3]')
            [CompletionResult]::new('--ntp', '--ntp', [CompletionResultType]::ParameterName, 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named')
            [CompletionResult]::new('--nts', '--nts', [CompletionResultType]::ParameterName, 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)')
            [CompletionResult]::new('--nts-roots', '--nts-roots', [CompletionResultType]::ParameterName, 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'exit with 2 where the clock gives no interval')
            [CompletionResult]::new('--accept-local', '--accept-local', [CompletionResultType]::ParameterName, 'believe NTP servers that serve their own clock')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;watch' {
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'end after N views, one a second [go on until interrupted]')
            [CompletionResult]::new('--assume-error', '--assume-error', [CompletionResultType]::ParameterName, 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)')
            [CompletionResult]::new('--max-drift-ppm', '--max-drift-ppm', [CompletionResultType]::ParameterName, 'how far the oscillator may run off, in parts per million [200]')
            [CompletionResult]::new('--source', '--source', [CompletionResultType]::ParameterName, 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]')
            [CompletionResult]::new('--ntp', '--ntp', [CompletionResultType]::ParameterName, 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named')
            [CompletionResult]::new('--nts', '--nts', [CompletionResultType]::ParameterName, 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)')
            [CompletionResult]::new('--nts-roots', '--nts-roots', [CompletionResultType]::ParameterName, 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]')
            [CompletionResult]::new('--accept-unsync-flag', '--accept-unsync-flag', [CompletionResultType]::ParameterName, 'believe a bound that the kernel flags as unsynchronised')
            [CompletionResult]::new('--accept-local', '--accept-local', [CompletionResultType]::ParameterName, 'believe NTP servers that serve their own clock')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;sources' {
            [CompletionResult]::new('--assume-error', '--assume-error', [CompletionResultType]::ParameterName, 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)')
            [CompletionResult]::new('--max-drift-ppm', '--max-drift-ppm', [CompletionResultType]::ParameterName, 'how far the oscillator may run off, in parts per million [200]')
            [CompletionResult]::new('--source', '--source', [CompletionResultType]::ParameterName, 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]')
            [CompletionResult]::new('--ntp', '--ntp', [CompletionResultType]::ParameterName, 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named')
            [CompletionResult]::new('--nts', '--nts', [CompletionResultType]::ParameterName, 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)')
            [CompletionResult]::new('--nts-roots', '--nts-roots', [CompletionResultType]::ParameterName, 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'print one JSON object')
            [CompletionResult]::new('--accept-unsync-flag', '--accept-unsync-flag', [CompletionResultType]::ParameterName, 'believe a bound that the kernel flags as unsynchronised')
            [CompletionResult]::new('--accept-local', '--accept-local', [CompletionResultType]::ParameterName, 'believe NTP servers that serve their own clock')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;serve' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'where to listen; port 0 takes any that is free [127.0.0.1:9184]')
            [CompletionResult]::new('--max-error', '--max-error', [CompletionResultType]::ParameterName, 'how large epsilon may be for /healthz to answer 200 [250ms]')
            [CompletionResult]::new('--assume-error', '--assume-error', [CompletionResultType]::ParameterName, 'vouch for the machine''s clock to within SPAN, such as 50ms or 1.5s, where no source does (units: ns, us, µs, ms, s)')
            [CompletionResult]::new('--max-drift-ppm', '--max-drift-ppm', [CompletionResultType]::ParameterName, 'how far the oscillator may run off, in parts per million [200]')
            [CompletionResult]::new('--source', '--source', [CompletionResultType]::ParameterName, 'ask only this source: kernel or chrony; given more than once, each of them [kernel and chrony; none, where servers are named]')
            [CompletionResult]::new('--ntp', '--ntp', [CompletionResultType]::ParameterName, 'ask this NTP server, without root; given more than once, all of them, and of three or more one may be wrong and is named')
            [CompletionResult]::new('--nts', '--nts', [CompletionResultType]::ParameterName, 'likewise, of a server that proves in NTS that it has this name; PORT is where it gives keys [4460] (in builds with --features nts)')
            [CompletionResult]::new('--nts-roots', '--nts-roots', [CompletionResultType]::ParameterName, 'root certificates in PEM, which alone are trusted to sign those of --nts [the system''s]')
            [CompletionResult]::new('--accept-unsync-flag', '--accept-unsync-flag', [CompletionResultType]::ParameterName, 'believe a bound that the kernel flags as unsynchronised')
            [CompletionResult]::new('--accept-local', '--accept-local', [CompletionResultType]::ParameterName, 'believe NTP servers that serve their own clock')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;compare' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'print one JSON object')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;hlc' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('decode', 'decode', [CompletionResultType]::ParameterValue, 'print the physical time and the counter of a stamp, and its bytes')
            break
        }
        'epsilon;hlc;decode' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'print one JSON object')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;completions' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'epsilon;manual' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
