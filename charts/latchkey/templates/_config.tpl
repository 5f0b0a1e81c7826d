{{/* The main file, as YAML: what the chart sets, and `config` over it. */}}
{{- define "latchkey.config" -}}
{{- $listen := dict "address" (printf "%s:%v" .Values.bindHost .Values.ports.http) }}
{{- if .Values.tls.enabled }}
{{- $_ := set $listen "tls" (dict "cert" "/etc/latchkey-tls/tls.crt" "key" "/etc/latchkey-tls/tls.key") }}
{{- end }}
{{- $admin := dict
  "address" (printf "%s:%v" .Values.bindHost .Values.ports.admin)
  "probes" (dict "app" .Values.app.probePath)
}}
{{- $drain := dict "delay" "0s" "timeout" (printf "%vs" .Values.shutdown.drain) }}
{{- with .Values.shutdown.token }}
{{- $_ := set $drain "token" (printf "sha256:%s" (sha256sum .)) }}
{{- end }}
{{- $own := dict
  "listen" $listen
  "upstream" (dict "url" (printf "http://127.0.0.1:%v" .Values.app.port))
  "admin" $admin
  "drain" $drain
  "keys" (dict "files" .Values.keys.files)
}}
{{- toYaml (mustMergeOverwrite $own (deepCopy .Values.config)) }}
{{- end }}

{{/*
What a reload cannot bring into force. Everything else needs no new pod, so a checksum of all of the config would only
replace pods for nothing. A ConfigMap from elsewhere is not known here.
*/}}
{{- define "latchkey.restartChecksum" -}}
{{- $config := include "latchkey.config" . | fromYaml }}
{{- $fixed := dict }}
{{- range $field := include "latchkey.restartFields" . | fromJsonArray }}
{{- $value := $config }}
{{- range splitList "." $field }}
{{- $value = ternary (get (ternary $value dict (kindIs "map" $value)) .) "" (kindIs "map" $value) }}
{{- end }}
{{- $_ := set $fixed $field $value }}
{{- end }}
{{- $fixed | toJson | sha256sum | trunc 16 }}
{{- end }}
