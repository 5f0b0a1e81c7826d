{{/*
The sidecar, for `initContainers:` of a pod. Put it before init containers of your own that need the app's way in.

  initContainers:
    {{- include "latchkey.container" .Subcharts.latchkey | nindent 8 }}
*/}}
{{- define "latchkey.container" -}}
{{- if ne 3 (list .Values.ports.http .Values.ports.admin .Values.app.port | uniq | len) }}
{{- fail "ports.http, ports.admin and app.port must be three: the containers of a pod share its ports." }}
{{- end -}}
- name: latchkey
  image: {{ include "latchkey.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- /* Native: an init container that stays. Ready before the app starts, ended after it, not waited for by a Job. */}}
  restartPolicy: Always
  args: [serve]
  ports:
    - { name: http, containerPort: {{ .Values.ports.http }}, protocol: TCP }
    - { name: admin, containerPort: {{ .Values.ports.admin }}, protocol: TCP }
  {{- /* Not one of the three may wait for the app: it starts only after the first of them has passed. */}}
  startupProbe:
    httpGet: { path: /livez, port: {{ .Values.ports.admin }} }
    periodSeconds: 1
    failureThreshold: 30
  livenessProbe:
    httpGet: { path: /livez, port: {{ .Values.ports.admin }} }
    periodSeconds: 10
    timeoutSeconds: 3
    failureThreshold: 3
  readinessProbe:
    httpGet: { path: /readyz, port: {{ .Values.ports.admin }} }
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 1
  {{- with .Values.shutdown.token }}
  {{- /* Called at once when the pod is to end, long before SIGTERM, which waits for the app. */}}
  lifecycle:
    preStop:
      httpGet:
        path: /-/drain
        port: {{ $.Values.ports.admin }}
        httpHeaders:
          - { name: Authorization, value: {{ printf "Bearer %s" . | quote }} }
  {{- end }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
  {{- /* Directories, never a subPath: that would show for ever what it held when the container started. */}}
  volumeMounts:
    - { name: latchkey, mountPath: /etc/latchkey, readOnly: true }
    {{- if .Values.tls.enabled }}
    - { name: latchkey-tls, mountPath: /etc/latchkey-tls, readOnly: true }
    {{- end }}
{{- end }}

{{- define "latchkey.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
The sidecar's volumes, for `volumes:` of a pod. Config and keys are one volume, which the kubelet switches in one step.
288 is 0440 in decimal, which YAML 1.1 and 1.2 read alike; the files belong to the pod's fsGroup.
*/}}
{{- define "latchkey.volumes" -}}
- name: latchkey
  projected:
    defaultMode: 288
    sources:
      - configMap:
          name: {{ include "latchkey.configMapName" . }}
      {{- if .Values.keys.records }}
      - secret:
          name: {{ include "latchkey.fullname" . }}-latchkey-keys
      {{- end }}
      {{- range concat .Values.keys.existingSecrets .Values.secrets }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- if .Values.tls.enabled }}
- name: latchkey-tls
  secret:
    secretName: {{ include "latchkey.tlsSecretName" . }}
    defaultMode: 288
{{- end }}
{{- end }}

{{/*
The probes of the app's container. The kubelet asks the pod's address, where an app on loopback does not answer, so
Latchkey passes them on. Ports are numbers: a name would be looked for in the app's own container.
*/}}
{{- define "latchkey.appProbes" -}}
startupProbe:
  httpGet: { path: /probe/app, port: {{ .Values.ports.admin }} }
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: { path: /probe/app, port: {{ .Values.ports.admin }} }
  periodSeconds: 5
  timeoutSeconds: 6
  failureThreshold: 2
{{- /* Patient enough that a restart of the sidecar does not restart the app. */}}
livenessProbe:
  httpGet: { path: /probe/app, port: {{ .Values.ports.admin }} }
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 6
{{- end }}

{{/* `lifecycle:` of the app's container: it would end first, while load balancers still send requests. */}}
{{- define "latchkey.appLifecycle" -}}
preStop:
  sleep: { seconds: {{ .Values.shutdown.pause }} }
{{- end }}

{{/* The pod's grace period: everything that happens one after the other. */}}
{{- define "latchkey.terminationGracePeriodSeconds" -}}
{{- with .Values.shutdown }}{{ add .pause .app .drain .spare }}{{ end -}}
{{- end }}

{{/* `securityContext:` of the pod. The group is what may read the mounted files. */}}
{{- define "latchkey.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Annotations of the pod. A reload needs no new pod; what no reload can bring into force does. */}}
{{- define "latchkey.podAnnotations" -}}
{{- if not .Values.existingConfigMap -}}
checksum/latchkey-restart: {{ include "latchkey.restartChecksum" . | quote }}
{{- end -}}
{{- end }}
