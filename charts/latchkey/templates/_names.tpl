{{/* Names that others rely on. Every template below takes the context of this chart: `.`, or `.Subcharts.latchkey`. */}}

{{- define "latchkey.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "latchkey.selectorLabels" -}}
app.kubernetes.io/name: {{ include "latchkey.fullname" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "latchkey.labels" -}}
{{ include "latchkey.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "latchkey.configMapName" -}}
{{- .Values.existingConfigMap | default (printf "%s-latchkey" (include "latchkey.fullname" .)) -}}
{{- end }}

{{- define "latchkey.tlsSecretName" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "latchkey.fullname" .)) -}}
{{- end }}

{{- define "latchkey.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "latchkey.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}
